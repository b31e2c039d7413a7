import { expect, test } from 'vitest'
import * as Y from 'yjs'

import { split, splitDeletions } from '../src/parts.js'

const MAX_BYTES = 400

/** Applies parts one after the other, none of which may wait for a later one; gives the document. */
function assemble(parts: readonly Uint8Array[]): Y.Doc {
  const doc = new Y.Doc()
  for (const part of parts) {
    Y.applyUpdate(doc, part)
    expect([doc.store.pendingStructs, doc.store.pendingDs]).toEqual([null, null])
  }
  return doc
}

/** Cuts a document's whole state, and checks that the parts are small and give the same. */
function cutAndCompare(doc: Y.Doc): Uint8Array[] {
  const whole = Y.encodeStateAsUpdate(doc)
  const parts = split(whole, MAX_BYTES)
  expect(parts.length).toBeGreaterThan(1)
  for (const part of parts) expect(part.byteLength).toBeLessThanOrEqual(MAX_BYTES)
  const again = assemble(parts)
  expect(Y.snapshot(again)).toEqual(Y.snapshot(doc))
  for (const name of doc.share.keys()) expect(contentOf(again, name)).toEqual(contentOf(doc, name))
  return parts
}

const contentOf = (doc: Y.Doc, root: string): unknown =>
  root === 'content' ? doc.getText(root).toDelta() : doc.getArray(root).toJSON()

/** Numbers that look random and are the same each time: https://en.wikipedia.org/wiki/Xorshift */
function* numbers(seed: number): Generator<number, never> {
  for (let drawn = seed; ; ) {
    drawn ^= drawn << 13
    drawn ^= drawn >>> 17
    drawn ^= drawn << 5
    yield drawn >>> 0
  }
}

test('an update that fits is given back as it is', () => {
  const update = Y.encodeStateAsUpdate(new Y.Doc())
  expect(split(update, MAX_BYTES)).toEqual([update])
})

test.each(['a', 'é', '😀', 'x😀', '漢字 and words '])('a long text of "%s" is cut inside', (piece) => {
  const doc = new Y.Doc()
  doc.getText('content').insert(0, piece.repeat(3_000))
  cutAndCompare(doc)
})

test('a long list of values is cut between them', () => {
  const doc = new Y.Doc()
  doc.getArray('list').insert(0, Array.from({ length: 500 }, (_, at) => ({ at, text: 'é'.repeat(at % 40) })))
  cutAndCompare(doc)
})

test('many deletions are cut, and come last', () => {
  const doc = new Y.Doc()
  const text = doc.getText('content')
  text.insert(0, 'x'.repeat(2_000))
  for (let at = 999; at >= 0; at -= 1) text.delete(at * 2, 1)
  const parts = cutAndCompare(doc)
  const hasStructs = parts.map((part) => part[0] !== 0)
  expect(hasStructs).toEqual([...hasStructs].sort((a, b) => Number(b) - Number(a)))
  expect(hasStructs).toContain(false)
})

test('a single value that is larger than a part stays whole', () => {
  const doc = new Y.Doc()
  const map = doc.getMap('files')
  map.set('small', 1)
  map.set('large', new Uint8Array(3 * MAX_BYTES))
  map.set('text', 'x'.repeat(2 * MAX_BYTES))
  const parts = split(Y.encodeStateAsUpdate(doc), MAX_BYTES)
  expect(parts.filter((part) => part.byteLength > MAX_BYTES)).toHaveLength(2)
  expect(assemble(parts).getMap('files').toJSON()).toEqual(map.toJSON())
})

test.each([1, 2, 3, 4, 5, 6])('what several wrote in each other’s text is cut so that no part waits: %d', (seed) => {
  const random = numbers(seed * 7_919)
  const draw = (below: number): number => random.next().value % below
  const docs = Array.from({ length: 5 }, (_, index) => {
    const doc = new Y.Doc()
    doc.clientID = 1_000 + ((index * 7) % 5)
    return doc
  })
  for (let step = 0; step < 600; step += 1) {
    const doc = docs[draw(docs.length)]!
    const text = doc.getText('content')
    const list = doc.getArray<Y.Map<string>>('list')
    const kind = draw(8)
    if (kind < 4) text.insert(draw(text.length + 1), '😀é wörter'.slice(0, 2 + draw(6)))
    else if (kind === 4 && text.length > 3) text.delete(draw(text.length - 2), 2)
    else if (kind === 5) list.insert(draw(list.length + 1), [new Y.Map()])
    else if (kind === 6 && list.length > 0) list.get(draw(list.length)).set(`key${draw(3)}`, `${step}`)
    else text.format(0, text.length, { bold: step % 2 === 0 })
    const other = docs[draw(docs.length)]!
    if (draw(3) === 0) Y.applyUpdate(other, Y.encodeStateAsUpdate(doc, Y.encodeStateVector(other)))
  }
  for (const doc of docs) Y.applyUpdate(docs[0]!, Y.encodeStateAsUpdate(doc))
  cutAndCompare(docs[0]!)
})

test('what an update lacks is lacking in its parts, and all is there once that has come', () => {
  const doc = new Y.Doc()
  const text = doc.getText('content')
  const updates: Uint8Array[] = []
  doc.on('update', (update: Uint8Array) => updates.push(update))
  for (let count = 0; count < 300; count += 1) text.insert(count % 7, `${count},`)
  const lacking = updates.splice(100, 1)
  const again = new Y.Doc()
  for (const part of split(Y.mergeUpdates(updates), MAX_BYTES)) Y.applyUpdate(again, part)
  expect(again.getText('content').toString()).not.toBe(text.toString())
  Y.applyUpdate(again, lacking[0]!)
  expect(again.getText('content').toString()).toBe(text.toString())
})

test('deletions of what a peer has are cut out, and those of what it lacks are left out', () => {
  const doc = new Y.Doc()
  const text = doc.getText('content')
  text.insert(0, 'kept and deleted')
  const peer = new Y.Doc()
  Y.applyUpdate(peer, Y.encodeStateAsUpdate(doc))
  text.insert(16, ' and unknown')
  text.delete(4, 24)
  const stateVector = Y.encodeStateVector(peer)
  for (const part of splitDeletions(Y.encodeStateAsUpdate(doc, stateVector), stateVector, MAX_BYTES)) {
    expect(Y.decodeUpdate(part).structs).toEqual([])
    Y.applyUpdate(peer, part)
  }
  expect([peer.getText('content').toString(), peer.store.pendingDs]).toEqual(['kept', null])
})
