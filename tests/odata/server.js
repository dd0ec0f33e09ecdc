// Listens on 127.0.0.1 only, and fills the tables before it does.
const fs = require('node:fs')
const http = require('node:http')
const cds = require('@sap/cds')

const ROWS = Number(process.env.ROWS ?? 100000)
const AT_ONCE = 5000
const CITIES = ['Zürich', 'São Paulo', '東京', 'Kraków', 'O\'Fallon', 'a "quoted" place', '']
const STATUS = ['open', 'shipped', 'returned']
const FIRST = Date.UTC(2020, 0, 1)

function order(id) {
  const at = FIRST + id * 60_000
  return {
    ID: id,
    customer: `Customer ${id % 977}`,
    city: id % 11 ? CITIES[id % CITIES.length] : null,
    amount: id % 13 ? ((id * 7919) % 10_000_000) / 100 : null,
    rate: id % 5 ? `0.${String(id).padStart(9, '0')}1` : null,
    weight: id % 3 ? id / 7 : null,
    pieces: (id % 65_536) - 32_768,
    clicks: `90071992547${String(id).padStart(7, '0')}`,
    paid: id % 4 === 0 ? null : id % 2 === 0,
    orderedOn: new Date(at).toISOString().slice(0, 10),
    pickupAt: new Date(at).toISOString().slice(11, 19),
    dueAt: new Date(at + 86_400_000).toISOString().slice(0, 19) + 'Z',
    token: `00000000-0000-4000-8000-${id.toString(16).padStart(12, '0')}`,
    photo: id % 17 ? null : Buffer.from([id % 256, 255, 0, 254]).toString('base64'),
    note: id % 19 ? null : `line 1\nline 2 of ${id} \u{1F30A}`,
    status: STATUS[id % 3],
    tags: id % 23 ? [] : ['a', `b${id}`],
    address_street: `Street ${id % 100}`,
    address_zip: String(id % 100_000).padStart(5, '0'),
    // Many orders share each time, so that pages and watermarks meet equal edges.
    modifiedAt: new Date(FIRST + Math.floor(id / 250) * 1000).toISOString(),
    createdAt: new Date(FIRST).toISOString(),
  }
}

cds.on('bootstrap', app => {
  app.listen = port => http.createServer(app).listen(port, '127.0.0.1')
})

/** Rows that a test has written down, by entity. */
async function fillFrom(file) {
  for (const [name, rows] of Object.entries(JSON.parse(fs.readFileSync(file)))) {
    await cds.db.run(cds.ql.INSERT.into(`tidewell.conformance.${name}`).entries(rows))
  }
}

cds.on('served', async () => {
  if (process.env.CONFORMANCE) await fillFrom(process.env.CONFORMANCE)
  const { Orders, Items } = cds.entities('tidewell.shop')
  for (let first = 1; first <= ROWS; first += AT_ONCE) {
    const rows = Array.from({ length: Math.min(AT_ONCE, ROWS - first + 1) }, (_, i) => order(first + i))
    await cds.db.run(cds.ql.INSERT.into(Orders).entries(rows))
  }
  const items = Array.from({ length: Math.min(ROWS, 50) }, (_, i) => ({
    order_ID: 1 + (i >> 1),
    position: 1 + (i % 2),
    article: `Article ${i}`,
    price: i + 0.25,
  }))
  await cds.db.run(cds.ql.INSERT.into(Items).entries(items))
})
