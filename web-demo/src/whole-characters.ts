import type { Extension } from '@codemirror/state'
import { EditorView } from '@codemirror/view'

const HIGH = /^[\uD800-\uDBFF]$/
const LOW = /^[\uDC00-\uDFFF]$/

/**
 * Takes a character that is typed in two halves as one. Firefox tells of a key beyond U+FFFF, such as
 * an emoji's, as of two keys: its surrogates. Sent each by itself, both become U+FFFD to all others.
 */
export function wholeCharacters(): Extension {
  let half = ''
  return EditorView.inputHandler.of((view, from, to, text) => {
    const before = half
    half = HIGH.test(text) ? text : ''
    if (half !== '') return true
    if (before === '' || !LOW.test(text)) return false
    view.dispatch({
      changes: { from, to, insert: before + text },
      selection: { anchor: from + 2 },
      userEvent: 'input.type',
      scrollIntoView: true,
    })
    return true
  })
}
