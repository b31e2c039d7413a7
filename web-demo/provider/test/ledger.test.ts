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
