import { expect, test } from 'vitest'

import { Ledger } from '../src/ledger.js'

function synced(): Ledger {
  const ledger = new Ledger()
  ledger.answer(false)
  ledger.receive(true)
  return ledger
}

test('a document is saved once everything the server lacked was received', () => {
  const ledger = new Ledger()
  expect(ledger.isClear).toBe(false)
  ledger.answer(true)
  expect(ledger.isClear).toBe(false)
  ledger.receive(true)
  expect([ledger.isClear, ledger.pending]).toEqual([true, 0])
})

test('each receipt is for the oldest change that has none', () => {
  const ledger = synced()
  ledger.send(true)
  ledger.send(true)
  ledger.receive(true)
  expect([ledger.isClear, ledger.pending]).toEqual([false, 1])
  ledger.receive(true)
  expect([ledger.isClear, ledger.pending]).toEqual([true, 0])
})

test('a change of others that passes through here is awaited and not counted', () => {
  const ledger = synced()
  ledger.send(false)
  expect([ledger.isClear, ledger.pending]).toEqual([false, 0])
  ledger.receive(true)
  expect(ledger.isClear).toBe(true)
})

test('what was sent and not received when the connection ended waits again', () => {
  const ledger = synced()
  ledger.send(true)
  ledger.interrupt()
  ledger.keep(true)
  expect([ledger.isClear, ledger.pending]).toEqual([false, 2])
  // The server has all of it by now, yet nobody knows whether it is stored.
  ledger.answer(false)
  expect([ledger.isClear, ledger.pending]).toEqual([false, 2])
  ledger.receive(true)
  expect([ledger.isClear, ledger.pending]).toEqual([true, 0])
})

test('a saved document stays saved while the connection is gone and comes back', () => {
  const ledger = synced()
  ledger.interrupt()
  expect(ledger.isClear).toBe(true)
  ledger.answer(false)
  expect(ledger.isClear).toBe(true)
})

test('a saved document that the server turns out to lack is not saved', () => {
  const ledger = synced()
  ledger.interrupt()
  ledger.answer(true)
  expect(ledger.isClear).toBe(false)
})

test('a refused change leaves the document unsaved, also where the refusal overtakes a receipt', () => {
  const ledger = synced()
  ledger.send(true)
  ledger.send(true)
  ledger.receive(false)
  ledger.receive(true)
  expect([ledger.isClear, ledger.pending]).toEqual([false, 1])
  ledger.answer(true)
  ledger.receive(true)
  expect([ledger.isClear, ledger.pending]).toEqual([true, 0])
})

test('a change in parts is stored once its last part is', () => {
  const ledger = synced()
  ledger.send(true, 3)
  ledger.send(true)
  ledger.receive(true)
  ledger.receive(true)
  expect([ledger.isClear, ledger.pending]).toEqual([false, 2])
  ledger.receive(true)
  expect([ledger.isClear, ledger.pending]).toEqual([false, 1])
  ledger.receive(true)
  expect([ledger.isClear, ledger.pending]).toEqual([true, 0])
})

test('a change of which a part is refused waits as a whole', () => {
  const ledger = synced()
  ledger.answer(true, 3)
  ledger.keep(true)
  ledger.answer(true, 3)
  for (const accepted of [true, true, true, true, false, true]) ledger.receive(accepted)
  expect([ledger.isClear, ledger.pending]).toEqual([false, 1])
  ledger.answer(true, 2)
  ledger.receive(true)
  expect([ledger.isClear, ledger.pending]).toEqual([false, 1])
  ledger.receive(true)
  expect([ledger.isClear, ledger.pending]).toEqual([true, 0])
})

test('parts that were sent when the connection ended are sent anew', () => {
  const ledger = synced()
  ledger.send(true, 3)
  ledger.receive(true)
  ledger.interrupt()
  expect([ledger.isClear, ledger.pending]).toEqual([false, 1])
  ledger.answer(true, 2)
  ledger.receive(true)
  ledger.receive(true)
  expect([ledger.isClear, ledger.pending]).toEqual([true, 0])
})

test('a refusal stands until all that the server lacks was sent anew and taken', () => {
  const ledger = new Ledger()
  ledger.send(true)
  ledger.send(true)
  ledger.receive(false)
  ledger.receive(true)
  expect(ledger.hasRefusal).toBe(true)
  ledger.answer(true, 2)
  ledger.receive(true)
  expect(ledger.hasRefusal).toBe(true)
  ledger.receive(true)
  expect(ledger.hasRefusal).toBe(false)
})
