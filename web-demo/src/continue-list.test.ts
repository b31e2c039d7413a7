import { EditorState } from '@codemirror/state'
import { expect, test } from 'vitest'

import { continueList } from './continue-list.js'

/** Presses Enter at the `|` of a text; null where the command leaves it to others. */
function enter(before: string): string | null {
  const at = before.indexOf('|')
  let state = EditorState.create({ doc: before.replace('|', ''), selection: { anchor: at } })
  const done = continueList({ state, dispatch: (transaction) => (state = transaction.state) })
  if (!done) return null
  const { head } = state.selection.main
  return `${state.sliceDoc(0, head)}|${state.sliceDoc(head)}`
}

test.each([
  ['- one|', '- one\n- |'],
  ['  * on|e', '  * on\n  * |e'],
  ['9. nine|', '9. nine\n10. |'],
  ['- [x] done|', '- [x] done\n- [ ] |'],
  ['- one\n- |', '- one\n|'],
])('Enter in %j gives %j', (before, after) => {
  expect(enter(before)).toBe(after)
})

test.each(['plain|', '-no list|', '|- before the mark'])('Enter in %j is left to others', (before) => {
  expect(enter(before)).toBeNull()
})
