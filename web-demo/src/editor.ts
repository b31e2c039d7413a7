import { defaultKeymap } from '@codemirror/commands'
import { bracketMatching } from '@codemirror/language'
import { highlightSelectionMatches, search, searchKeymap } from '@codemirror/search'
import { Compartment, EditorState } from '@codemirror/state'
import { EditorView, keymap, placeholder } from '@codemirror/view'
import { yCollab, yUndoManagerKeymap } from 'y-codemirror.next'
import type { Awareness } from 'y-protocols/awareness'
import type * as Y from 'yjs'

import { appearance, shadowOf } from './appearance.js'
import { continueList } from './continue-list.js'
import { authorship } from './history/authorship.js'
import { remoteSelections } from './remote-selections.js'

const EDITABLE = placeholder('Write something…')
const READ_ONLY = EditorState.readOnly.of(true)

/** An editor of one shared text. */
export class TextEditor {
  readonly view: EditorView
  readonly #editable = new Compartment()

  constructor(parent: HTMLElement, name: string, text: Y.Text, awareness: Awareness, undo: Y.UndoManager) {
    const root = shadowOf(parent)
    this.view = new EditorView({
      root,
      parent: root,
      state: EditorState.create({
        doc: text.toString(),
        extensions: [
          yCollab(text, null, { undoManager: undo }),
          remoteSelections(text, awareness),
          keymap.of([
            { key: 'Enter', run: continueList },
            ...yUndoManagerKeymap,
            ...searchKeymap,
            ...defaultKeymap,
          ]),
          appearance,
          bracketMatching(),
          search({ top: true }),
          highlightSelectionMatches({ minSelectionLength: 3 }),
          this.#editable.of(EDITABLE),
          EditorView.contentAttributes.of({
            'aria-label': `Text of ${name}`,
            spellcheck: 'true',
            autocapitalize: 'sentences',
            autocorrect: 'on',
          }),
          authorship,
        ],
      }),
    })
  }

  /** Lets the text be edited, or only read. */
  allow(editing: boolean): void {
    const effect = this.#editable.reconfigure(editing ? EDITABLE : READ_ONLY)
    this.view.dispatch({ effects: effect })
  }

  /** Scrolls a position into view. */
  show(position: number): void {
    const at = Math.min(position, this.view.state.doc.length)
    this.view.dispatch({ effects: EditorView.scrollIntoView(at, { y: 'center' }) })
  }

  destroy(): void {
    this.view.destroy()
  }
}
