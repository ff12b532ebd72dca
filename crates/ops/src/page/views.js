// The views. Each draws one element from what it asks; none of them changes anything.
import { ask, count, el, go, history, link, table } from '/console.js';

const PAGE = 50;

/** Bytes in the unit that fits. */
function bytes(value) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let at = 0;
  while (value >= 1024 && at < units.length - 1) { value /= 1024; at += 1; }
  return `${value >= 100 || at === 0 ? Math.round(value) : value.toFixed(1)} ${units[at]}`;
}

/** How much of a figure came each second between two looks, over the last minutes. */
function rates(name) {
  const out = [];
  for (let at = 1; at < history.length; at += 1) {
    const seconds = (history[at].at - history[at - 1].at) / 1000;
    const grown = history[at].traffic[name] - history[at - 1].traffic[name];
    // A node that was started anew counts from nothing.
    if (seconds > 0.2) out.push(Math.max(0, grown) / seconds);
  }
  return out;
}

function plot(values) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 100 30');
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('aria-hidden', 'true');
  const line = document.createElementNS(svg.namespaceURI, 'polyline');
  const shown = values.slice(-60);
  const most = Math.max(1e-9, ...shown);
  line.setAttribute('points', shown.map((value, at) => `${(at * 100) / Math.max(1, shown.length - 1)},${29 - (27 * value) / most}`).join(' '));
  svg.append(line);
  return svg;
}

function tile(value, what, kind, extra) {
  return el('div', { class: 'tile' }, el('b', { class: kind }, value), el('span', {}, what), extra);
}

function rate(name, what, shown) {
  const values = rates(name);
  return tile(values.length ? shown(values.at(-1)) + '/s' : '-', what, null, plot(values));
}

const overview = {
  async draw(_, { cluster, traffic }) {
    const out = el('section', {}, el('h1', {}, 'Overview'));
    if (cluster) {
      const up = cluster.brokers.filter((broker) => !broker.is_fenced).length;
      const voters = cluster.quorum?.members.filter((member) => member.votes).length ?? 0;
      const survives = Math.max(0, Math.ceil(voters / 2) - 1);
      out.append(el('p', {},
        `${up} of ${cluster.brokers.length} brokers up; `,
        cluster.quorum
          ? `quorum of ${voters}, leader ${cluster.quorum.leader}, survives ${survives} controller failure${survives === 1 ? '' : 's'}`
          : 'the quorum does not tell of itself'));
      const some = (value) => (value > 0 ? 'bad' : 'good');
      out.append(el('div', { class: 'tiles' },
        tile(count(up), 'brokers up', up < cluster.brokers.length ? 'warn' : null),
        tile(count(cluster.topics), 'topics'),
        tile(count(cluster.partitions), 'partitions'),
        tile(count(cluster.under_replicated), 'under-replicated', some(cluster.under_replicated)),
        tile(count(cluster.under_min_isr), 'under min.insync.replicas', some(cluster.under_min_isr)),
        tile(count(cluster.offline), 'offline', some(cluster.offline))));
    }
    out.append(el('h2', {}, 'This node'), el('div', { class: 'tiles' },
      rate('messages_in', 'records written', (value) => count(Math.round(value))),
      rate('bytes_in', 'bytes written', bytes),
      rate('bytes_out', 'bytes read', bytes),
      rate('requests', 'requests', (value) => count(Math.round(value))),
      tile(count(traffic.connections), 'connections')));
    if (cluster?.troubles.length) {
      out.append(el('h2', {}, 'Needs a look'), table([
        ['topic', (row) => link(['topics', row.topic, 'partitions'], row.topic)],
        ['partition', (row) => row.partition, 'number'],
        ['trouble', (row) => row.trouble.replaceAll('_', ' '), 'bad'],
      ], cluster.troubles, ''));
    }
    return out;
  },
};

function ago(ms) {
  if (!(ms > 0)) return 'unknown';
  const seconds = Math.max(0, (Date.now() - ms) / 1000);
  return seconds < 2 ? 'now' : seconds < 120 ? `${Math.round(seconds)} s ago` : `${Math.round(seconds / 60)} min ago`;
}

const nodes = {
  async draw({ parts }, { cluster }) {
    if (parts[1]) return configs(`Node ${parts[1]}`, await ask(['nodes', parts[1], 'configs']));
    if (!cluster) return el('p', { class: 'empty' }, 'The cluster cannot be asked.');
    const out = el('section', {}, el('h1', {}, 'Nodes'), el('h2', {}, 'Brokers'), table([
      ['id', (row) => link(['nodes', row.id], row.id), 'number'],
      ['address', (row) => row.address, 'mono'],
      ['state', (row) => el('span', { class: row.is_fenced ? 'bad' : 'good' }, row.is_fenced ? 'fenced' : 'up')],
      ['leads', (row) => count(row.leads), 'number'],
      ['replicas', (row) => count(row.replicas), 'number'],
      ['behind', (row) => count(row.behind), 'number'],
      ['rack', (row) => row.rack ?? '-'],
    ], cluster.brokers, 'No broker is known.'));
    if (cluster.quorum) {
      out.append(el('h2', {}, 'Metadata quorum'),
        el('p', {}, `epoch ${cluster.quorum.epoch}, high watermark ${count(cluster.quorum.high_watermark)}`), table([
          ['id', (row) => row.id, 'number'],
          ['role', (row) => (row.leads ? 'leader' : row.votes ? 'voter' : 'observer')],
          ['lag', (row) => count(row.lag), 'number'],
          ['caught up', (row) => ago(row.caught_up_ms)],
        ], cluster.quorum.members, 'No member is known.'));
    }
    return out;
  },
};

/** Buttons to the part of a list before and after this one. */
function pages(parts, pairs, all) {
  const offset = Number(pairs.offset ?? 0);
  const to = (value, text) => el('button', { type: 'button', onclick: () => go(parts, { ...pairs, offset: value || '' }) }, text);
  if (all <= PAGE) return null;
  return el('p', {},
    offset > 0 ? to(Math.max(0, offset - PAGE), 'before') : null, ' ',
    `${offset + 1} to ${Math.min(all, offset + PAGE)} of ${count(all)}`, ' ',
    offset + PAGE < all ? to(offset + PAGE, 'after') : null);
}

/** A form whose fields become pairs of the address. */
function filter(parts, ...fields) {
  const form = el('form', {}, fields, el('button', {}, 'show'));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    go(parts, Object.fromEntries(new FormData(form)));
  });
  return form;
}

const field = (name, label, value, more = {}) => el('label', {}, label, el('input', { name, value: value ?? '', ...more }));

const topics = {
  // Records are read again when somebody asks for them, not with the time.
  refreshes: ({ parts }) => !(parts[1] && (parts[2] ?? 'messages') === 'messages'),
  async draw({ parts, pairs }) {
    if (parts[1]) return topic(parts, pairs);
    const told = await ask(['topics'], { ...pairs, limit: PAGE });
    const internal = el('label', {}, 'internal ones', el('input', { type: 'checkbox', name: 'internal', value: 'yes', checked: pairs.internal }));
    const sort = el('label', {}, 'order', el('select', { name: 'sort' }, ['name', 'partitions', 'trouble'].map((by) =>
      el('option', { selected: pairs.sort === by }, by))));
    return el('section', {}, el('h1', {}, 'Topics'),
      filter(['topics'], field('search', 'name contains', pairs.search, { type: 'search' }), sort, internal), table([
        ['topic', (row) => link(['topics', row.name], row.name)],
        ['partitions', (row) => count(row.partitions), 'number'],
        ['replicas', (row) => count(row.replication_factor), 'number'],
        ['records, about', (row) => count(row.records), 'number'],
        ['trouble', (row) => row.offline ? el('span', { class: 'bad' }, `${row.offline} offline`)
          : row.under_replicated ? el('span', { class: 'warn' }, `${row.under_replicated} under-replicated`) : '-'],
      ], told.topics, pairs.search ? 'No topic has this in its name.' : 'No topics yet: ottla topic create orders'),
      pages(['topics'], pairs, told.all));
  },
};

async function topic(parts, pairs) {
  const [, name, tab = 'messages'] = parts;
  const tabs = el('div', { class: 'tabs' }, ['messages', 'partitions', 'configs'].map((known) => {
    const to = link(['topics', name, known], known);
    if (known === tab) to.setAttribute('aria-current', 'page');
    return to;
  }));
  const body = tab === 'partitions' ? partitions(await ask(['topics', name], { limit: 1000 }))
    : tab === 'configs' ? configs(null, await ask(['topics', name, 'configs']))
    : await messages(name, pairs);
  return el('section', {}, el('h1', {}, name), tabs, body);
}

function partitions(told) {
  const chip = (row, id) => el('span', {
    class: 'chip ' + (id === row.leader ? 'leader' : row.in_sync.includes(id) ? '' : 'behind'),
    title: id === row.leader ? 'leads' : row.in_sync.includes(id) ? 'in sync' : 'not in sync',
  }, id);
  return table([
    ['partition', (row) => row.partition, 'number'],
    ['leader', (row) => (row.leader < 0 ? el('span', { class: 'bad' }, 'none') : row.leader), 'number'],
    ['replicas', (row) => row.replicas.map((id) => chip(row, id))],
    ['in sync', (row) => row.in_sync.join(', '), 'mono'],
    ['first offset', (row) => count(row.first_offset), 'number'],
    ['next offset', (row) => count(row.next_offset), 'number'],
    ['leader epoch', (row) => row.leader_epoch, 'number'],
  ], told.partitions, 'No partitions.');
}

function configs(title, rows) {
  const sorted = [...rows].sort((a, b) => a.is_default - b.is_default || a.name.localeCompare(b.name));
  return el('section', {}, title ? el('h1', {}, title) : null, table([
    ['key', (row) => el('span', { class: row.is_default ? 'faint' : null, title: row.meaning }, row.name), 'mono'],
    ['value', (row) => (row.is_sensitive ? el('span', { class: 'faint' }, 'hidden') : row.value ?? '-'), 'mono'],
    ['from', (row) => row.source],
    ['meaning', (row) => el('span', { class: 'faint' }, row.meaning ?? '')],
  ], sorted, 'Nothing is configured.'));
}

/** Bytes of a record as text: JSON over several lines, the rest as it is. */
function shown(data) {
  if (data === null) return el('span', { class: 'faint' }, 'null');
  let text = data.text;
  if (data.encoding === 'utf-8' && !data.is_cut && /^\s*[[{]/.test(text)) {
    try {
      const read = JSON.parse(text);
      const bare = (json) => json.replaceAll(/\s/g, '');
      // Only where nothing is lost: numbers of more than 53 bits, doubled names and other spellings stay as they are.
      if (bare(JSON.stringify(read)) === bare(text)) text = JSON.stringify(read, null, 2);
    } catch { /* not JSON: as it is */ }
  }
  const more = [data.encoding === 'hex' ? 'bytes, in hexadecimal' : null, data.is_cut ? `the beginning of ${count(data.size)} bytes` : null];
  return el('div', {}, el('pre', {}, text), more.filter(Boolean).map((line) => el('span', { class: 'faint' }, line + ' ')));
}

async function messages(name, pairs) {
  const told = await ask(['topics', name, 'messages'], pairs);
  const form = filter(['topics', name, 'messages'],
    field('partition', 'partition', pairs.partition, { inputmode: 'numeric', size: 6, placeholder: 'all' }),
    field('from', 'from', pairs.from, { size: 16, placeholder: 'latest', list: 'from' }),
    el('datalist', { id: 'from' }, ['latest', 'earliest'].map((value) => el('option', { value }))),
    field('contains', 'contains', pairs.contains, { size: 18 }),
    field('limit', 'at most', pairs.limit, { inputmode: 'numeric', size: 5, placeholder: '50' }));
  const left = [
    told.is_filtered ? `${count(told.matched)} of ${count(told.scanned)} records match` : `${count(told.messages.length)} records shown`,
    told.is_whole ? null : 'there is more than one look takes',
    told.partitions_left_out ? `${told.partitions_left_out} partitions were left out` : null,
    ...told.troubles,
  ];
  return el('section', {}, form, el('p', { class: 'faint' }, left.filter(Boolean).join('; ') + '. ' + told.note + '.'), table([
    ['time', (row) => (row.timestamp < 0 ? '-' : new Date(row.timestamp).toISOString().replace('T', ' ').replace('Z', '')), 'mono'],
    ['partition', (row) => row.partition, 'number'],
    ['offset', (row) => row.offset, 'number'],
    ['key', (row) => shown(row.key)],
    ['value', (row) => shown(row.value)],
    ['headers', (row) => row.headers.map((header) => el('div', {}, el('span', { class: 'faint' }, header.key + ': '), shown(header.value)))],
  ], told.messages, 'No records here.'));
}

const groups = {
  async draw({ parts, pairs }) {
    if (parts[1]) return group(await ask(['groups', parts[1]]));
    const told = await ask(['groups'], { ...pairs, limit: PAGE });
    return el('section', {}, el('h1', {}, 'Groups'),
      filter(['groups'], field('search', 'name contains', pairs.search, { type: 'search' })),
      told.notices.map((line) => el('p', { class: 'warn' }, line)), table([
        ['group', (row) => link(['groups', row.name], row.name)],
        ['state', (row) => row.state],
        ['type', (row) => row.type],
        ['coordinator', (row) => row.coordinator, 'number'],
        ['topics', (row) => row.topics.join(', ')],
        ['lag', (row) => count(row.lag), 'number'],
        ['most in one partition', (row) => count(row.most_lag), 'number'],
      ], told.groups, 'No groups yet: a consumer with a group.id makes one.'),
      pages(['groups'], pairs, told.all));
  },
};

function group(told) {
  return el('section', {}, el('h1', {}, told.name), el('p', {}, `${told.state}, ${told.assignor || 'no assignor'}`),
    el('h2', {}, 'Partitions'), table([
      ['topic', (row) => link(['topics', row.topic], row.topic)],
      ['partition', (row) => row.partition, 'number'],
      ['committed', (row) => count(row.committed), 'number'],
      ['next offset', (row) => count(row.next_offset), 'number'],
      ['lag', (row) => count(row.lag), 'number'],
      ['member', (row) => row.member ?? '-', 'mono'],
    ], told.partitions, 'Nothing was committed.'),
    el('h2', {}, 'Members'), table([
      ['member', (row) => row.id, 'mono'],
      ['client', (row) => row.client],
      ['host', (row) => row.host, 'mono'],
      ['partitions', (row) => row.partitions.join(', '), 'mono'],
    ], told.members, 'No members.'));
}

const missing = { async draw() { return el('p', { class: 'empty' }, 'No such view.'); } };

export const views = { overview, topics, groups, nodes, missing };
