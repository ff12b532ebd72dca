// kafkajs:  node judge.js BOOTSTRAP PREFIX first|second
// One line for every check: `ok NAME` or `fail NAME: REASON`.
'use strict'

const { CompressionCodecs, CompressionTypes, ConfigResourceTypes, Kafka, logLevel } = require('kafkajs')
const lz4 = require('lz4-napi')
const snappy = require('kafkajs-snappy')
const zstd = require('@bokuweb/zstd-wasm')

const [bootstrap, prefix, phase] = process.argv.slice(2)
const kafka = new Kafka({ clientId: 'judge', brokers: bootstrap.split(','), logLevel: logLevel.NOTHING, retry: { retries: 8, initialRetryTime: 50 } })
const admin = kafka.admin()
const RECORDS = 200
const CODECS = { none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy, lz4: CompressionTypes.LZ4, zstd: CompressionTypes.ZSTD }

CompressionCodecs[CompressionTypes.Snappy] = snappy
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async encoder => lz4.compressFrame(encoder.buffer),
  decompress: async buffer => lz4.decompressFrame(buffer),
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async encoder => Buffer.from(zstd.compress(encoder.buffer, 3)),
  decompress: async buffer => Buffer.from(zstd.decompress(buffer)),
})

// Replicas of each topic: one on every node.
const copies = Number(process.env.JUDGE_COPIES || 1)
const topic = name => `${prefix}-${name}`
const key = i => (i % 10 === 3 ? null : `key-${i}`)
const value = i => (i % 10 === 7 ? null : `value-${i}` + ' the same words again and again'.repeat(i % 13))
const text = bytes => (bytes === null ? null : bytes.toString())
const sleep = ms => new Promise(done => setTimeout(done, ms))

function expect(truth, what) {
  if (!truth) throw new Error(`expected ${what}`)
}

async function eventually(what, question) {
  const end = Date.now() + 20000
  while (!(await question())) {
    expect(Date.now() < end, `${what} within 20 s`)
    await sleep(20)
  }
}

async function check(name, body) {
  try {
    await body()
    console.log(`ok ${name}`)
  } catch (error) {
    const where = (error.stack || '').split('\n').filter(line => line.includes('judge.js')).map(line => line.trim().split('/').pop())
    console.log(`fail ${name}: ${String(error).replace(/\n/g, ' ')} ${JSON.stringify(error.partitions || '')} at ${where.join(' ')}`)
  }
}

async function create(names, partitions) {
  await admin.createTopics({ topics: names.map(name => ({ topic: topic(name), numPartitions: partitions, replicationFactor: copies })) })
  // The broker may answer for a new topic a little later than the controller does.
  const there = name => admin.fetchTopicOffsets(topic(name)).then(rows => rows.length === partitions, () => false)
  for (const name of names) await eventually(`${name} is served`, () => there(name))
}

async function send(name, messages, more = {}, settings = {}) {
  const producer = kafka.producer(settings)
  await producer.connect()
  try {
    return await producer.send({ topic: topic(name), messages, acks: -1, ...more })
  } finally {
    await producer.disconnect()
  }
}

/** Reads `count` records of one partition from `offset` on. */
async function read(name, partition, offset, count, group = `${prefix}-reader-${name}-${offset}`) {
  const consumer = kafka.consumer({ groupId: group, maxWaitTimeInMs: 100, heartbeatInterval: 200, sessionTimeout: 10000 })
  const records = []
  let joined = false
  consumer.on(consumer.events.GROUP_JOIN, () => { joined = true })
  await consumer.connect()
  try {
    await consumer.subscribe({ topics: [topic(name)], fromBeginning: true })
    await consumer.run({
      autoCommit: false,
      eachMessage: async ({ partition: p, message }) => { if (p === partition) records.push(message) },
    })
    await eventually('a member of the group', () => joined)
    if (offset !== null) consumer.seek({ topic: topic(name), partition, offset: String(offset) })
    await eventually(`${count} records`, () => records.length >= count)
  } finally {
    await consumer.disconnect()
  }
  return records
}

async function codec(name) {
  await create([name], 1)
  const messages = [...Array(RECORDS).keys()].map(i => ({ key: key(i), value: value(i), partition: 0 }))
  const [answer] = await send(name, messages, { compression: CODECS[name] })
  expect(answer.baseOffset === '0', `acknowledged at 0, not ${answer.baseOffset}`)
  await verify(name, 0)
}

async function verify(name, start) {
  const records = await read(name, 0, start, RECORDS - start)
  expect(records.length === RECORDS - start, `${RECORDS - start} records, not ${records.length}`)
  records.forEach((record, at) => {
    const i = at + start
    expect(record.offset === String(i), `offset ${i}, not ${record.offset}`)
    expect(text(record.key) === key(i), `the key of ${i}`)
    expect(text(record.value) === value(i), `the value of ${i}`)
  })
}

async function headers() {
  // kafkajs keeps equal keys together, as an array under their name.
  await send('headers', [{ value: 'v', headers: { b: ['1', '3'], a: '2' }, partition: 0 }])
  const [record] = await read('headers', 0, 0, 1)
  const seen = JSON.stringify(Object.entries(record.headers).map(([k, v]) => [k, Array.isArray(v) ? v.map(String) : String(v)]))
  expect(seen === '[["b",["1","3"]],["a","2"]]', `headers as sent, not ${seen}`)
}

async function times() {
  const base = Date.now() - 100000
  for (let i = 0; i < 10; i++) await send('times', [{ value: value(i), partition: 1, timestamp: String(base + i * 1000) }])
  const at = rows => rows.find(row => row.partition === 1)
  const ends = at(await admin.fetchTopicOffsets(topic('times')))
  expect(ends.low === '0' && ends.high === '10', `0 to 10, not ${JSON.stringify(ends)}`)
  const found = at(await admin.fetchTopicOffsetsByTimestamp(topic('times'), base + 2500))
  expect(found.offset === '3', `offset 3 for its time, not ${found.offset}`)
  const [record] = await read('times', 1, 4, 1)
  expect(record.timestamp === String(base + 4000), 'the timestamp as sent')
}

async function idempotent() {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  for (let i = 0; i < 20; i++) {
    const messages = [...Array(50).keys()].map(k => ({ value: `once-${i * 50 + k}`, partition: 0 }))
    const [answer] = await producer.send({ topic: topic('once'), messages, acks: -1 })
    expect(answer.baseOffset === String(i * 50), `acknowledged at ${i * 50}, not ${answer.baseOffset}`)
  }
  await producer.disconnect()
}

class Member {
  constructor(seen) {
    this.seen = seen
    this.owned = []
  }

  async join() {
    this.consumer = kafka.consumer({ groupId: `${prefix}-group`, heartbeatInterval: 200, sessionTimeout: 10000, maxWaitTimeInMs: 50 })
    this.consumer.on(this.consumer.events.GROUP_JOIN, ({ payload }) => { this.owned = payload.memberAssignment[topic('group')] || [] })
    this.consumer.on(this.consumer.events.REBALANCING, () => { this.owned = [] })
    await this.consumer.connect()
    await this.consumer.subscribe({ topics: [topic('group')], fromBeginning: true })
    await this.consumer.run({ autoCommitThreshold: 1, eachMessage: async ({ message }) => { this.seen.push(text(message.value)) } })
    return this
  }
}

async function group() {
  const seen = []
  const members = []
  const some = (from, to) => send('group', [...Array(to - from).keys()].map(i => ({ value: `member-${from + i}`, partition: i % 2 })))
  try {
    const one = await new Member(seen).join()
    members.push(one)
    await eventually('the only member has both partitions', () => one.owned.length === 2)
    await some(0, 50)
    await eventually('50 records read', () => seen.length === 50)
    const two = await new Member(seen).join()
    members.push(two)
    await eventually('one partition for each of two', () => one.owned.length === 1 && two.owned.length === 1)
    expect(one.owned[0] !== two.owned[0], 'different partitions')
    await some(50, 100)
    await eventually('100 records read', () => seen.length === 100)
    members.pop()
    await two.consumer.disconnect()
    await eventually('both partitions for the one that stayed', () => one.owned.length === 2)
    await some(100, 150)
    await eventually('150 records read', () => seen.length === 150)
    expect(new Set(seen).size === 150, 'every record once')
  } finally {
    for (const member of members) await member.consumer.disconnect()
  }
}

async function commit() {
  await send('commit', [...Array(10).keys()].map(i => ({ value: `value-${i}`, partition: 0 })))
  const group = `${prefix}-commit`
  await admin.setOffsets({ groupId: group, topic: topic('commit'), partitions: [{ partition: 0, offset: '7' }] })
  const [row] = await admin.fetchOffsets({ groupId: group, topics: [topic('commit')] })
  expect(row.partitions.find(p => p.partition === 0).offset === '7', 'the offset that was committed')
}

async function configs() {
  const resource = { type: ConfigResourceTypes.TOPIC, name: topic('times') }
  const now = async () => {
    const { resources } = await admin.describeConfigs({ resources: [resource], includeSynonyms: false })
    return resources[0].configEntries.find(entry => entry.configName === 'retention.ms').configValue
  }
  expect((await now()) === '604800000', 'the default')
  await admin.alterConfigs({ resources: [{ ...resource, configEntries: [{ name: 'retention.ms', value: '86400000' }] }] })
  await eventually('the new value', async () => (await now()) === '86400000')
}

async function partitions() {
  await admin.createPartitions({ topicPartitions: [{ topic: topic('times'), count: 4 }] })
  await eventually('four partitions', async () => (await admin.fetchTopicMetadata({ topics: [topic('times')] })).topics[0].partitions.length === 4)
  const cluster = await admin.describeCluster()
  expect(cluster.brokers.length === copies && cluster.clusterId.length === 22, 'every broker and the id of the cluster')
}

async function groups() {
  const name = `${prefix}-group`
  const { groups } = await admin.listGroups()
  expect(groups.some(g => g.groupId === name && g.protocolType === 'consumer'), 'the group in the list')
  const described = await admin.describeGroups([name])
  expect(described.groups[0].state === 'Empty', `Empty, not ${described.groups[0].state}`)
  await admin.deleteGroups([name])
  await eventually('the group is gone', async () => !(await admin.listGroups()).groups.some(g => g.groupId === name))
}

async function deleteRecords() {
  // It looks for the leader only among the topics that it has been asked for before.
  await admin.fetchTopicOffsets(topic('lz4'))
  await admin.deleteTopicRecords({ topic: topic('lz4'), partitions: [{ partition: 0, offset: '60' }] })
  await verify('lz4', 60)
}

async function remove() {
  await admin.deleteTopics({ topics: [topic('group')] })
  await eventually('it is gone', async () => !(await admin.listTopics()).includes(topic('group')))
  expect((await admin.listTopics()).includes(topic('commit')), 'the others stay')
}

async function restart() {
  const group = `${prefix}-commit`
  let row = null
  // While the coordinator loads the group, the client passes the refusal on.
  await eventually('an answer', async () => {
    try {
      [row] = await admin.fetchOffsets({ groupId: group, topics: [topic('commit')] })
    } catch (error) {
      expect(error.retriable || error.type === 'NOT_COORDINATOR_FOR_GROUP', `an answer, not ${error}`)
    }
    return row !== null
  })
  const committed = row.partitions.find(p => p.partition === 0)
  expect(committed.offset === '7', `the committed offset 7, not ${JSON.stringify(committed)}`)
  const [record] = await read('commit', 0, null, 3, group)
  expect(record.offset === '7' && text(record.value) === 'value-7', 'the record at 7')
}

async function main() {
  await zstd.init()
  await admin.connect()
  if (phase === 'first') {
    await check('create', () => create(['group', 'commit', 'headers', 'times', 'once'], 2))
    for (const name of Object.keys(CODECS)) await check(name, () => codec(name))
    const rest = { headers, times, idempotent, group, commit, configs, partitions, groups, 'delete-records': deleteRecords, delete: remove }
    for (const [name, body] of Object.entries(rest)) await check(name, body)
  } else {
    await check('restart', restart)
    await check('survived', () => verify('gzip', 0))
  }
  await admin.disconnect()
}

main().then(() => process.exit(0))
