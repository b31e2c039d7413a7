// Yjs documents without any network: what editors write to them, and what updates come to.
import * as readline from 'node:readline'
import * as Y from 'yjs'

const BASE_CLIENT = 1

/** What every document begins with: a text in a map, one in a fragment of XML. */
function base() {
  const doc = new Y.Doc()
  doc.clientID = BASE_CLIENT
  doc.getMap('map').set('text', new Y.Text())
  doc.getXmlFragment('xml').insert(0, [new Y.XmlText()])
  return Y.encodeStateAsUpdate(doc)
}

const texts = (doc) => [
  doc.getText('text'),
  doc.getMap('map').get('text'),
  doc.getXmlFragment('xml').get(0)
]

const calls = {
  /** Lets some clients make moves and hear of each other; gives each change of theirs. */
  write({ clients, moves }) {
    const updates = [base()]
    const docs = Array.from({ length: clients }, (_, index) => {
      const doc = new Y.Doc()
      doc.clientID = BASE_CLIENT + 1 + index
      Y.applyUpdate(doc, updates[0])
      doc.on('update', (update, origin) => origin === 'heard' || updates.push(update))
      return doc
    })
    const heard = docs.map(() => 1)
    for (const [kind, client, which, place, length, word] of moves) {
      const doc = docs[client % clients]
      const text = texts(doc)[which]
      const at = place % (text.length + 1)
      const count = Math.min(length, text.length - at)
      if (kind === 'insert') text.insert(at, word)
      else if (kind === 'delete') text.delete(at, count)
      else if (kind === 'replace') doc.transact(() => (text.delete(at, count), text.insert(at, word)))
      else if (kind === 'format') text.format(at, count, { bold: length % 2 ? true : null })
      else if (kind === 'set') doc.getMap('map').set('key', word)
      else {
        const to = updates.length
        for (const update of updates.slice(heard[client % clients], to)) Y.applyUpdate(doc, update, 'heard')
        heard[client % clients] = to
      }
    }
    return updates.map(encoded)
  },

  /** What a new document shows after each of some updates. */
  show({ updates }) {
    const doc = new Y.Doc()
    return updates.map((update) => {
      Y.applyUpdate(doc, Buffer.from(update, 'base64'))
      return shown(doc)
    })
  },

  /** What somebody who has the state of some updates lacks of that of others. */
  diff({ updates, known }) {
    return encoded(Y.encodeStateAsUpdate(docOf(updates), Buffer.from(known, 'base64')))
  }
}

function docOf(updates) {
  const doc = new Y.Doc()
  for (const update of updates) Y.applyUpdate(doc, Buffer.from(update, 'base64'))
  return doc
}

function shown(doc) {
  const nested = doc.getMap('map').get('text')
  const xml = doc.getXmlFragment('xml').get(0)
  return {
    text: doc.getText('text').toDelta(),
    nested: nested?.toDelta() ?? [],
    xml: xml?.toDelta() ?? [],
    key: doc.getMap('map').get('key') ?? null,
    stateVector: encoded(Y.encodeStateVector(doc))
  }
}

const encoded = (bytes) => Buffer.from(bytes).toString('base64')

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { id, call, arguments: given } = JSON.parse(line)
  let answer
  try {
    answer = { id, result: calls[call](given) }
  } catch (error) {
    answer = { id, error: String(error?.stack ?? error) }
  }
  process.stdout.write(JSON.stringify(answer) + '\n')
}
