import { EditorState, Prec, type Range, StateEffect, StateField } from '@codemirror/state'
import { Decoration, type DecorationSet, EditorView, WidgetType } from '@codemirror/view'

import { appearance, shadowOf } from '../appearance.js'
import { type Hunk, type Mark, marksOf } from './hunks.js'

/** A text that was deleted, at the place where it stood. */
class Removed extends WidgetType {
  readonly #text: string

  constructor(text: string) {
    super()
    this.#text = text
  }

  override eq(other: Removed): boolean {
    return other.#text === this.#text
  }

  override toDOM(): HTMLElement {
    const removed = document.createElement('del')
    removed.className = 'cm-removed'
    removed.textContent = this.#text
    return removed
  }
}

const setMarks = StateEffect.define<readonly Mark[]>()

const marks = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(shown, transaction) {
    for (const effect of transaction.effects) {
      if (effect.is(setMarks)) return decorate(effect.value)
    }
    return shown
  },
  provide: (self) => Prec.highest(EditorView.decorations.from(self)),
})

function decorate(all: readonly Mark[]): DecorationSet {
  const ranges: Range<Decoration>[] = []
  for (const { from, to, removed } of all) {
    if (removed !== '') {
      const widget = new Removed(removed)
      ranges.push(Decoration.widget({ widget, side: -1 }).range(from))
    }
    if (from < to) {
      ranges.push(Decoration.mark({ class: 'cm-inserted', tagName: 'ins' }).range(from, to))
    }
  }
  return Decoration.set(ranges, true)
}

/** A text as it was, to be read, with what had changed marked in it. */
export class Preview {
  readonly #host: HTMLElement
  #view: EditorView | null = null

  constructor(host: HTMLElement) {
    this.#host = host
  }

  /** Shows a text, and brings the first change in it into view. */
  show(text: string, hunks: readonly Hunk[]): void {
    const view = (this.#view ??= this.#open())
    const shown = marksOf(hunks, text)
    const first = shown[0]
    view.dispatch({
      changes: { from: 0, to: view.state.doc.length, insert: text },
      effects: [
        setMarks.of(shown),
        EditorView.scrollIntoView(first?.from ?? 0, { y: first ? 'center' : 'start' }),
      ],
    })
  }

  destroy(): void {
    this.#view?.destroy()
    this.#view = null
  }

  #open(): EditorView {
    const root = shadowOf(this.#host)
    return new EditorView({
      root,
      parent: root,
      state: EditorState.create({
        extensions: [
          appearance,
          marks,
          EditorState.readOnly.of(true),
          EditorView.editable.of(false),
          EditorView.contentAttributes.of({ tabindex: '0', 'aria-label': 'The text as it was' }),
        ],
      }),
    })
  }
}
