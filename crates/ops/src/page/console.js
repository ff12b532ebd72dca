// The frame of the console: asking, drawing, going from view to view. Text from the cluster only ever becomes text nodes.
import { views } from '/views.js';

/** An element: el('td', {class: 'number'}, 7). Children are elements, text, or nothing. */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) made.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value === true ? '' : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** A table. Columns are [heading, cell of a row, class]; on a narrow screen each row becomes a card. */
export function table(columns, rows, empty) {
  if (rows.length === 0) return el('p', { class: 'empty' }, empty);
  const head = el('tr', {}, columns.map(([name, , kind]) => el('th', { class: kind, scope: 'col' }, name)));
  const body = rows.map((row) =>
    el('tr', {}, columns.map(([name, cell, kind]) => el('td', { class: kind, 'data-name': name }, cell(row)))));
  return el('div', { class: 'scroll' }, el('table', { class: 'cards' }, el('thead', {}, head), el('tbody', {}, body)));
}

/** A number with thin spaces between its thousands; a dash for what is not known. */
export const count = (value) =>
  value === null || value === undefined || value < 0 ? '-' : value.toLocaleString('en').replaceAll(',', '\u2009');

export const link = (path, text) => el('a', { href: '#/' + path.map(encodeURIComponent).join('/') }, text);

/** Asks the node. An answer that is none throws what the node says. */
export async function ask(path, pairs = {}) {
  const query = new URLSearchParams(Object.entries(pairs).filter(([, value]) => value !== '' && value !== null && value !== undefined));
  const target = '/api/' + path.map(encodeURIComponent).join('/') + (query.size ? '?' + query : '');
  const answer = await fetch(target, { headers: { accept: 'application/json' } });
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error ?? answer.statusText);
  return told;
}

/** Where the address says to be: parts of the path, and pairs behind a question mark. */
export function place() {
  const [path, query] = location.hash.replace(/^#\/?/, '').split('?');
  const parts = path === '' ? [] : path.split('/').map(decodeURIComponent);
  return { parts, pairs: Object.fromEntries(new URLSearchParams(query ?? '')) };
}

export function go(parts, pairs = {}) {
  const query = new URLSearchParams(Object.entries(pairs).filter(([, value]) => value !== ''));
  location.hash = '/' + parts.map(encodeURIComponent).join('/') + (query.size ? '?' + query : '');
}

const main = document.getElementById('main');
const every = document.getElementById('every');
/** What was told of the node and the cluster, the last minutes of it. */
export const history = [];
let turn = 0;
let timer = 0;

/** Draws the view that the address names; a later call makes an earlier one stop. */
async function draw(because) {
  clearTimeout(timer);
  const mine = ++turn;
  const at = place();
  const name = at.parts[0] ?? 'overview';
  const view = views[name] ?? views.missing;
  document.title = [...at.parts.slice(0, 2).reverse(), 'Ottla'].join(' - ');
  document.getElementById('nav').replaceChildren(...['overview', 'topics', 'groups', 'nodes'].map((known) =>
    el('a', { href: '#/' + (known === 'overview' ? '' : known), 'aria-current': known === name ? 'page' : null }, known)));
  try {
    const told = await ask(['overview']);
    if (mine !== turn) return;
    history.push({ at: performance.now(), ...told });
    if (history.length > 600) history.shift();
    frame(told);
    if (because !== 'time' || (view.refreshes?.(at) ?? true)) {
      const drawn = await view.draw(at, told);
      if (mine !== turn) return;
      // A form that somebody types in is left alone.
      const typing = main.contains(document.activeElement) && document.activeElement.matches('input, select');
      if (because !== 'time' || !typing) main.replaceChildren(drawn);
    }
    document.body.classList.remove('stale');
  } catch (error) {
    if (mine !== turn) return;
    document.body.classList.add('stale');
    if (because !== 'time') main.replaceChildren(el('p', { class: 'empty' }, error.message));
    if (error instanceof TypeError) pill('no answer', 'bad');
  }
  if (every.value !== '0') timer = setTimeout(() => draw('time'), Number(every.value));
}

function pill(text, kind) {
  const health = document.getElementById('health');
  health.textContent = text;
  health.className = 'pill ' + kind;
}

/** What stands above every view: which node this is, how the cluster is, what is in the way. */
function frame({ node, cluster, error }) {
  document.getElementById('where').textContent =
    `node ${node.node_id} (${node.roles.join(', ')})` + (node.cluster_id ? `, cluster ${node.cluster_id}` : '');
  const health = cluster?.health ?? (node.is_ready ? 'ready' : 'not ready');
  pill(health, { healthy: 'good', ready: 'good', degraded: 'warn' }[health] ?? 'bad');
  const lines = [
    ...node.obstacles.map((line) => el('p', { class: 'bad' }, line)),
    ...node.notices.map((line) => el('p', {}, line)),
    ...(cluster?.complaints ?? []).map((line) => el('p', {}, line)),
    error && !node.obstacles.includes(error) ? el('p', { class: 'bad' }, error) : null,
  ];
  document.getElementById('notices').replaceChildren(...lines.filter(Boolean));
}

addEventListener('hashchange', () => draw('place'));
every.addEventListener('change', () => draw('place'));
document.addEventListener('visibilitychange', () => (document.hidden ? clearTimeout(timer) : draw('time')));
addEventListener('keydown', (event) => {
  if (event.key === '/' && !event.target.matches('input, select')) {
    const search = main.querySelector('input');
    if (search) { event.preventDefault(); search.focus(); }
  }
});
draw('place');
