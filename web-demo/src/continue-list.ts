import type { StateCommand } from '@codemirror/state'

/** A list item: its indentation, its mark, and a task's box. */
const ITEM = /^(\s*)(?:([-*+])|(\d{1,9})([.)]))(\s+)(\[[ xX]\]\s+)?/

/** Goes on with a list at a new line; ends it where the item is still empty. */
export const continueList: StateCommand = ({ state, dispatch }) => {
  const { main } = state.selection
  if (!main.empty || state.selection.ranges.length > 1 || state.readOnly) return false
  const line = state.doc.lineAt(main.head)
  const item = ITEM.exec(line.text)
  if (!item || main.head - line.from < item[0].length) return false
  const [whole, indentation = '', bullet, number, delimiter, space = ' ', box] = item
  if (whole.length === line.length) {
    dispatch(state.update({ changes: { from: line.from, to: line.to }, userEvent: 'delete' }))
    return true
  }
  const mark = bullet ?? `${Number(number) + 1}${delimiter}`
  const insert = `\n${indentation}${mark}${space}${box ? '[ ] ' : ''}`
  dispatch(state.update(state.replaceSelection(insert), { scrollIntoView: true, userEvent: 'input' }))
  return true
}
