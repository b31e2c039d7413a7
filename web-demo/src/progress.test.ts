import { expect, test } from 'vitest'

import { describe, explainRefusal } from './progress.js'

test('saved is never said before the copy of this device is loaded', () => {
  const provider = { status: 'connected', saved: true, pendingChanges: 0 } as const
  expect(describe(provider, false, true).isSaved).toBe(false)
  expect(describe(provider, false, true).saved).toBe('')
  expect(describe(provider, true, true)).toEqual({ status: 'Connected', saved: 'Saved', isSaved: true })
})

test('only changes made here are said to be on their way', () => {
  const connected = (pendingChanges: number): string =>
    describe({ status: 'connected', saved: false, pendingChanges }, true, true).saved
  expect([connected(0), connected(2)]).toEqual(['', 'Saving…'])
})

test('changes that wait are counted, and where they are kept is told truthfully', () => {
  const waiting = (pendingChanges: number, keeps: boolean): string =>
    describe({ status: 'offline', saved: false, pendingChanges }, true, keeps).saved
  expect(waiting(3, true)).toBe('3 changes waiting, kept on this device')
  expect(waiting(1, false)).toBe('1 change waiting, keep this page open')
  expect(waiting(0, true)).toBe('Kept on this device')
})

test.each([4401, 4403, 4404])('refusal %i is explained in words', (code) => {
  const [title, text] = explainRefusal({ code, reason: 'policy' })
  expect(title).not.toMatch(/\d/)
  expect(text).not.toBe('policy')
})
