import { defaultKeymap } from '@codemirror/commands'
import { bracketMatching } from '@codemirror/language'
import { highlightSelectionMatches, openSearchPanel, search, searchKeymap } from '@codemirror/search'
import { Compartment, EditorState, type SelectionRange } from '@codemirror/state'
import { EditorView, keymap, placeholder } from '@codemirror/view'
import { YRange, YSyncConfig, yCollab, ySyncFacet, yUndoManagerKeymap } from 'y-codemirror.next'
import type { Awareness } from 'y-protocols/awareness'
import type * as Y from 'yjs'

import { appearance, shadowOf } from './appearance.js'
import { continueList } from './continue-list.js'
import { authorship } from './history/authorship.js'
import { matchCount } from './match-count.js'
import { remoteSelections } from './remote-selections.js'
import { wholeCharacters } from './whole-characters.js'

const EDITABLE = placeholder('Write something…')
const SEARCH_WORDS = EditorState.phrases.of({
  next: 'Next',
  previous: 'Previous',
  all: 'All',
  'match case': 'Match case',
  regexp: 'Regular expression',
  'by word': 'Whole words',
  replace: 'Replace',
  'replace all': 'Replace all',
})
const READ_ONLY = EditorState.readOnly.of(true)

/** Finds where a caret is once, not twice: each time the whole text is walked, and with each key. */
class SyncConfig extends YSyncConfig {
  override toYRange(range: SelectionRange): YRange {
    if (!range.empty) return super.toYRange(range)
    const place = this.toYPos(range.head, range.assoc)
    return new YRange(place, place)
  }
}

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
          // The last one holds.
          ySyncFacet.of(new SyncConfig(text, null)),
          remoteSelections(text, awareness),
          wholeCharacters(),
          keymap.of([
            { key: 'Enter', run: continueList },
            ...yUndoManagerKeymap,
            ...searchKeymap,
            ...defaultKeymap,
          ]),
          appearance,
          bracketMatching(),
          search({ top: true }),
          SEARCH_WORDS,
          matchCount,
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
    if (editing !== this.view.state.readOnly) return
    const effect = this.#editable.reconfigure(editing ? EDITABLE : READ_ONLY)
    this.view.dispatch({ effects: effect })
  }

  /** Scrolls a position into view. */
  show(position: number): void {
    const at = Math.min(position, this.view.state.doc.length)
    this.view.dispatch({ effects: EditorView.scrollIntoView(at, { y: 'center' }) })
  }

  /** Asks what to look for in the text. */
  find(): void {
    openSearchPanel(this.view)
  }

  destroy(): void {
    this.view.destroy()
  }
}
