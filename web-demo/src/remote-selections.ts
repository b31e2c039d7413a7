import { Annotation, type Extension, type Range, RangeSet } from '@codemirror/state'
import {
  Decoration,
  type DecorationSet,
  Direction,
  EditorView,
  type PluginValue,
  ViewPlugin,
  type ViewUpdate,
  WidgetType,
} from '@codemirror/view'
import { ySyncAnnotation } from 'y-codemirror.next'
import type { Awareness } from 'y-protocols/awareness'
import * as Y from 'yjs'

import { readUser } from './identity.js'

// The own plugin of y-codemirror.next writes `style` attributes, which a content security policy
// without 'unsafe-inline' refuses. What is published is the same, so both see each other.

/** The own selection is published so long after it moved, milliseconds: never while a key is handled. */
const PUBLISH_MS = 40
/** How long a name stays beside a caret that moved. */
const NAMED_MS = 2_500

const CARET = 'cm-remote-caret'
/** How far a name beside its caret is from it. */
const BESIDE_PX = 8

interface Selection {
  anchor: number
  head: number
}

/** Where a client's selection is in the text now; null where it has none there. */
export function selectionOf(awareness: Awareness, client: number, text: Y.Text): Selection | null {
  const cursor = awareness.getStates().get(client)?.['cursor'] as
    | { anchor?: unknown; head?: unknown }
    | null
    | undefined
  if (!cursor?.anchor || !cursor.head) return null
  const [anchor, head] = [cursor.anchor, cursor.head].map((position) =>
    Y.createAbsolutePositionFromRelativePosition(Y.createRelativePositionFromJSON(position), text.doc!),
  )
  if (anchor?.type !== text || head?.type !== text) return null
  return { anchor: anchor.index, head: head.index }
}

class Caret extends WidgetType {
  readonly #name: string
  readonly #color: string
  readonly #named: boolean

  constructor(name: string, color: string, named: boolean) {
    super()
    this.#name = name
    this.#color = color
    this.#named = named
  }

  override eq(other: Caret): boolean {
    return other.#name === this.#name && other.#color === this.#color && other.#named === this.#named
  }

  override toDOM(): HTMLElement {
    const caret = document.createElement('span')
    caret.className = CARET
    // Read out, names would be words of the text; who is here is said by the row of people.
    caret.setAttribute('aria-hidden', 'true')
    const label = document.createElement('span')
    label.className = 'cm-remote-name'
    // Its letters do not say which way the line runs.
    label.dir = 'auto'
    label.textContent = this.#name
    // Word joiners: a caret within a word must not let the line break there.
    caret.append('\u2060', label, '\u2060')
    this.#dress(caret)
    return caret
  }

  override updateDOM(caret: HTMLElement): boolean {
    const label = caret.querySelector('.cm-remote-name')
    if (label?.textContent !== this.#name) return false
    this.#dress(caret)
    return true
  }

  override ignoreEvent(): boolean {
    return true
  }

  #dress(caret: HTMLElement): void {
    caret.classList.toggle('cm-remote-named', this.#named)
    caret.style.setProperty('--person', this.#color)
  }
}

/** Where the name of a caret goes. */
interface Placed {
  caret: Element
  isTurned: boolean
  isBeside: boolean
}

/** Whether nothing is written to the right of a caret: not even what stands in for a text that is empty. */
function endsLine(view: EditorView, caret: Element): boolean {
  const { doc } = view.state
  const at = view.posAtDOM(caret)
  return doc.length > 0 && doc.lineAt(at).to === at && view.textDirectionAt(at) === Direction.LTR
}

const presenceChanged = Annotation.define<true>()

class RemoteSelections implements PluginValue {
  decorations: DecorationSet = RangeSet.empty
  readonly #view: EditorView
  readonly #text: Y.Text
  readonly #awareness: Awareness
  /** When each client's caret last moved, and the position it published. */
  readonly #moved = new Map<number, { cursor: string; atMs: number }>()
  #fading: ReturnType<typeof setTimeout> | undefined
  #publishing: ReturnType<typeof setTimeout> | undefined

  constructor(view: EditorView, text: Y.Text, awareness: Awareness) {
    this.#view = view
    this.#text = text
    this.#awareness = awareness
    awareness.on('change', this.#onPresence)
    this.decorations = this.#decorate(view.state.doc.length)
  }

  update(update: ViewUpdate): void {
    if (update.selectionSet || update.docChanged || update.focusChanged) {
      this.#publishing ??= setTimeout(() => this.#publish(), PUBLISH_MS)
    }
    const isDue = update.transactions.some(
      (transaction) => transaction.annotation(presenceChanged) || transaction.annotation(ySyncAnnotation),
    )
    if (isDue) {
      this.decorations = this.#decorate(update.state.doc.length)
      update.view.requestMeasure(this.#placing)
    }
    // What is typed here moves the others' carets; where they are is not looked up with each key.
    else if (update.docChanged) {
      this.decorations = this.decorations.map(update.changes)
      // What ended a line may be in the middle of one now.
      if (update.startState.doc.lines !== update.state.doc.lines) update.view.requestMeasure(this.#placing)
    }
  }

  destroy(): void {
    clearTimeout(this.#fading)
    clearTimeout(this.#publishing)
    this.#awareness.off('change', this.#onPresence)
  }

  readonly #onPresence = (change: Record<'added' | 'updated' | 'removed', number[]>): void => {
    const clients = [...change.added, ...change.updated, ...change.removed]
    if (clients.some((client) => client !== this.#awareness.clientID)) this.#redraw()
  }

  readonly #redraw = (): void => this.#view.dispatch({ annotations: presenceChanged.of(true) })

  /**
   * Puts names beside their caret where nothing is written there: above it they cover the line before. Turns those to
   * the left that would not fit to the right.
   */
  readonly #placing = {
    key: this,
    read: (view: EditorView): Placed[] => {
      const edge = view.scrollDOM.getBoundingClientRect().right
      return [...view.contentDOM.getElementsByClassName(CARET)].map((caret) => {
        const { width } = caret.getElementsByClassName('cm-remote-name')[0]!.getBoundingClientRect()
        const roomPx = edge - caret.getBoundingClientRect().left - width
        return { caret, isTurned: roomPx < 0, isBeside: roomPx >= BESIDE_PX && endsLine(view, caret) }
      })
    },
    write: (carets: Placed[]): void => {
      for (const { caret, isTurned, isBeside } of carets) {
        caret.classList.toggle('cm-remote-turned', isTurned)
        caret.classList.toggle('cm-remote-beside', isBeside)
      }
    },
  }

  #publish(): void {
    this.#publishing = undefined
    const { state, hasFocus } = this.#view
    const presence = this.#awareness.getLocalState()
    if (!presence || !hasFocus) return
    const { anchor, head, empty } = state.selection.main
    const place = Y.createRelativePositionFromTypeIndex(this.#text, head)
    const cursor = {
      anchor: empty ? place : Y.createRelativePositionFromTypeIndex(this.#text, anchor),
      head: place,
    }
    if (JSON.stringify(cursor) === JSON.stringify(presence['cursor'])) return
    this.#awareness.setLocalStateField('cursor', cursor)
  }

  #decorate(length: number): DecorationSet {
    const ranges: Range<Decoration>[] = []
    const nowMs = Date.now()
    let nextMs = Infinity
    for (const [client, presence] of this.#awareness.getStates()) {
      if (client === this.#awareness.clientID) continue
      const selection = selectionOf(this.#awareness, client, this.#text)
      if (!selection) continue
      const { name, color, colorLight } = readUser(presence, client)
      const cursor = JSON.stringify(presence['cursor'])
      let moved = this.#moved.get(client)
      if (moved?.cursor !== cursor) {
        moved = { cursor, atMs: nowMs }
        this.#moved.set(client, moved)
      }
      const leftMs = moved.atMs + NAMED_MS - nowMs
      if (leftMs > 0) nextMs = Math.min(nextMs, leftMs)
      const anchor = Math.min(selection.anchor, length)
      const head = Math.min(selection.head, length)
      const [from, to] = anchor < head ? [anchor, head] : [head, anchor]
      if (from < to) {
        const mark = { class: 'cm-remote-selection', attributes: { style: `--tint: ${colorLight}` } }
        ranges.push(Decoration.mark(mark).range(from, to))
      }
      const widget = new Caret(name, color, leftMs > 0)
      ranges.push(Decoration.widget({ widget, side: head > anchor ? -1 : 1 }).range(head))
    }
    for (const client of this.#moved.keys()) {
      if (!this.#awareness.getStates().has(client)) this.#moved.delete(client)
    }
    clearTimeout(this.#fading)
    if (nextMs < Infinity) this.#fading = setTimeout(this.#redraw, nextMs + 20)
    return Decoration.set(ranges, true)
  }
}

const theme = EditorView.baseTheme({
  '.cm-remote-selection': { backgroundColor: 'var(--tint)' },
  '.cm-remote-caret': { position: 'relative' },
  '.cm-remote-caret::before': {
    content: '""',
    position: 'absolute',
    top: '-0.1em',
    bottom: '-0.1em',
    left: '-1px',
    width: '2px',
    borderRadius: '1px',
    backgroundColor: 'var(--person)',
    pointerEvents: 'none',
  },
  '.cm-remote-caret::after': {
    // The handle to hover, where the name has faded.
    content: '""',
    position: 'absolute',
    top: '-0.3em',
    left: '-3px',
    width: '6px',
    height: '6px',
    borderRadius: '50%',
    backgroundColor: 'var(--person)',
  },
  '.cm-remote-name': {
    position: 'absolute',
    bottom: 'calc(100% - 0.15em)',
    left: '-1px',
    zIndex: '5',
    maxWidth: '14rem',
    padding: '0.2em 0.55em',
    overflow: 'hidden',
    textOverflow: 'ellipsis',
    borderRadius: '0.5em 0.5em 0.5em 0',
    backgroundColor: 'var(--person)',
    color: '#fff',
    font: '600 0.72rem/1.3 var(--ui-font)',
    whiteSpace: 'nowrap',
    textIndent: '0',
    userSelect: 'none',
    pointerEvents: 'none',
    opacity: '0',
    transition: 'opacity 0.25s',
  },
  '.cm-remote-turned > .cm-remote-name': {
    right: '-1px',
    left: 'auto',
    borderRadius: '0.5em 0.5em 0 0.5em',
  },
  '.cm-remote-beside > .cm-remote-name': {
    bottom: '50%',
    left: `${BESIDE_PX}px`,
    transform: 'translateY(50%)',
    borderRadius: '0.5em',
  },
  '.cm-remote-named > .cm-remote-name, .cm-remote-caret:hover > .cm-remote-name': { opacity: '1' },
  '@media (forced-colors: active)': {
    '.cm-remote-caret, .cm-remote-selection': { forcedColorAdjust: 'none' },
    '.cm-remote-selection': { color: 'CanvasText' },
  },
  '@media print': {
    '.cm-remote-caret': { display: 'none' },
    '.cm-remote-selection': { backgroundColor: 'transparent' },
  },
})

/** Shows other people's carets and selections in the text, and publishes one's own. */
export function remoteSelections(text: Y.Text, awareness: Awareness): Extension {
  const plugin = ViewPlugin.define((view) => new RemoteSelections(view, text, awareness), {
    decorations: (selections) => selections.decorations,
  })
  return [plugin, theme]
}
