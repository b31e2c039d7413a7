import { type Extension, Prec, StateEffect, StateField } from '@codemirror/state'
import { Decoration, type DecorationSet, EditorView } from '@codemirror/view'
import { ySyncAnnotation } from 'y-codemirror.next'

import type { Author } from './authors.js'
import { type Run, mapRuns } from './runs.js'

/** Who wrote what of the text, while it is shown. */
export interface Authorship {
  runs: readonly Run[]
  /** What is typed here is this author's. */
  writer: string | null
  describe: (author: string | null) => Author
}

/** Shows who wrote what; null shows it no longer. */
export const setAuthorship = StateEffect.define<Authorship | null>()

const field = StateField.define<{ shown: Authorship; tints: DecorationSet } | null>({
  create: () => null,
  update(value, transaction) {
    let shown = value?.shown ?? null
    let isNew = false
    if (shown !== null && transaction.docChanged) {
      // What comes from elsewhere is somebody's whom only the server knows.
      const isOwn = transaction.annotation(ySyncAnnotation) === undefined
      const writer = isOwn ? shown.writer : undefined
      shown = { ...shown, runs: mapRuns(shown.runs, transaction.changes, writer) }
      isNew = true
    }
    for (const effect of transaction.effects) {
      if (!effect.is(setAuthorship)) continue
      shown = effect.value
      isNew = true
    }
    if (shown === null) return null
    return isNew ? { shown, tints: tintsOf(shown) } : value
  },
  // Within the other marks, so that a tint is as high as a heading.
  provide: (self) =>
    Prec.highest(EditorView.decorations.from(self, (value) => value?.tints ?? Decoration.none)),
})

/** The runs that the editor shows; none where it shows none. */
export function shownRuns(view: EditorView): readonly Run[] {
  return view.state.field(field)?.shown.runs ?? []
}

function tintsOf({ runs, describe }: Authorship): DecorationSet {
  const marks = new Map<string | null, Decoration>()
  const markOf = (author: string | null): Decoration => {
    let mark = marks.get(author)
    if (mark === undefined) {
      const { name, color } = describe(author)
      const attributes = { style: `--person: ${color}`, title: name }
      mark = Decoration.mark({ class: 'cm-written', attributes })
      marks.set(author, mark)
    }
    return mark
  }
  return Decoration.set(runs.map(({ from, to, author }) => markOf(author).range(from, to)))
}

const theme = EditorView.baseTheme({
  '.cm-written': {
    backgroundColor: 'color-mix(in srgb, var(--person) var(--tint-share), transparent)',
    boxShadow: 'inset 0 -2px 0 color-mix(in srgb, var(--person) 55%, transparent)',
  },
})

/** Tints the text by who wrote it, where `setAuthorship` says so, and keeps up with typing. */
export const authorship: Extension = [field, theme]
