import { expect, test } from 'vitest'

import { describe, explainFull, explainRefusal } from './progress.js'

test('saved is never said before the copy of this device is loaded', () => {
  const provider = { status: 'connected', saved: true, pendingChanges: 0, full: false, refusal: null } as const
  expect(describe(provider, false, true, true).isSaved).toBe(false)
  expect(describe(provider, false, true, true).saved).toBe('')
  expect(describe(provider, true, true, true)).toEqual({ status: 'Connected', saved: 'Saved', isSaved: true })
})

test('only changes made here are said to be on their way', () => {
  const connected = (pendingChanges: number): string =>
    describe({ status: 'connected', saved: false, pendingChanges, full: false, refusal: null }, true, true, true).saved
  expect([connected(0), connected(2)]).toEqual(['', 'Saving…'])
})

test('changes that wait are counted, and where they are kept is told truthfully', () => {
  const waiting = (pendingChanges: number, keeps: boolean): string =>
    describe({ status: 'offline', saved: false, pendingChanges, full: false, refusal: null }, true, keeps, true).saved
  expect(waiting(3, true)).toBe('3 changes waiting on this device')
  expect(waiting(1, false)).toBe('1 change waiting, keep this page open')
  expect(waiting(0, true)).toBe('Kept on this device')
})

test('where the server stores nothing for a while, what waits is told as it is without a connection', () => {
  const provider = { status: 'connected', saved: false, pendingChanges: 3, full: false, refusal: null } as const
  expect(describe(provider, true, true, true, true).saved).toBe('3 changes waiting on this device')
  expect(describe(provider, true, false, true, true).saved).toBe('3 changes waiting, keep this page open')
})

test('who may only read is told so, and what is written in vain still counts', () => {
  const reading = (pendingChanges: number): string =>
    describe({ status: 'connected', saved: true, pendingChanges, full: false, refusal: null }, true, true, false).saved
  expect(reading(0)).toBe('Read only')
  const offline = { status: 'offline', saved: false, pendingChanges: 1, full: false, refusal: null } as const
  expect(describe(offline, true, true, false).saved).toContain('1 change waiting')
})

test('a document that was deleted is told apart from one that is out of bounds', () => {
  const refused = (code: number): string => {
    const provider = { status: 'refused', saved: true, pendingChanges: 0, full: false, refusal: { code, reason: '' } } as const
    const { status, saved } = describe(provider, true, true, true)
    return status + saved // What is deleted is not called saved.
  }
  expect([refused(4404), refused(4403)]).toEqual(['Deleted', 'No access'])
})

test.each([4401, 4403, 4404])('refusal %i is explained in words', (code) => {
  const [title, text] = explainRefusal({ code, reason: 'policy' }, true)
  expect(title).not.toMatch(/\d/)
  expect(text).not.toBe('policy')
})

test('to bring a document back is said to whom may do it alone', () => {
  const text = (mayUndelete: boolean): string => explainRefusal({ code: 4404, reason: '' }, mayUndelete)[1]
  expect(text(true)).toContain('It can be brought back')
  expect(text(false)).toContain('Ask those')
})

test('what a full document does not take is never on its way, and where it is kept is told truthfully', () => {
  const provider = { status: 'connected', saved: false, pendingChanges: 2, full: true, refusal: null } as const
  expect(describe(provider, true, true, true).saved).toBe('Not stored')
  expect([explainFull(true)[1], explainFull(false)[1]].map((text) => text.includes('on this device'))).toEqual([
    true,
    false,
  ])
})
