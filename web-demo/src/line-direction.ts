import { type Extension, RangeSetBuilder } from '@codemirror/state'
import { Decoration, type DecorationSet, EditorView, ViewPlugin, type ViewUpdate } from '@codemirror/view'

const BY_ITS_LETTERS = Decoration.line({ attributes: { dir: 'auto' } })

/** Says of the lines that are shown that their own first letters decide. */
class LineDirection {
  decorations: DecorationSet

  constructor(view: EditorView) {
    this.decorations = decorate(view)
  }

  update({ view, docChanged, viewportChanged }: ViewUpdate): void {
    if (docChanged || viewportChanged) this.decorations = decorate(view)
  }
}

function decorate({ state, visibleRanges }: EditorView): DecorationSet {
  const lines = new RangeSetBuilder<Decoration>()
  let next = 0
  for (const { from, to } of visibleRanges) {
    // Two ranges can be of one line.
    for (let at = Math.max(from, next); at <= to; at = next) {
      const line = state.doc.lineAt(at)
      lines.add(line.from, line.from, BY_ITS_LETTERS)
      next = line.to + 1
    }
  }
  return lines.finish()
}

/** Lays out each line from the side where its own writing begins: Hebrew from the right, the English below it from the left. */
export const lineDirection: Extension = [
  EditorView.perLineTextDirection.of(true),
  ViewPlugin.fromClass(LineDirection, { decorations: ({ decorations }) => decorations }),
]
