import { getSearchQuery, searchPanelOpen } from '@codemirror/search'
import type { EditorState } from '@codemirror/state'
import { type EditorView, ViewPlugin, type ViewUpdate } from '@codemirror/view'

import { element } from './elements.js'

/** How many matches are counted: in a long text more would hold up who types. */
const MOST = 1_000
/** How long after a key or a change they are counted, milliseconds. */
const REST_MS = 100

/** Says in the search panel how many matches there are, and which of them is selected. */
export const matchCount = ViewPlugin.fromClass(
  class {
    readonly #view: EditorView
    readonly #words = element('span', { class: 'cm-match-count', role: 'status' })
    #counting: ReturnType<typeof setTimeout> | undefined

    constructor(view: EditorView) {
      this.#view = view
    }

    update({ state, startState, docChanged, selectionSet }: ViewUpdate): void {
      if (!searchPanelOpen(state)) return
      const isOther = !searchPanelOpen(startState) || !getSearchQuery(state).eq(getSearchQuery(startState))
      if (isOther || docChanged || selectionSet) this.#counting ??= setTimeout(() => this.#count(), REST_MS)
    }

    destroy(): void {
      clearTimeout(this.#counting)
    }

    #count(): void {
      this.#counting = undefined
      const last = this.#view.dom.querySelector('.cm-panel.cm-search [name=select]')
      if (!last) return
      if (last.nextSibling !== this.#words) last.after(this.#words)
      const words = describeMatches(this.#view.state)
      if (this.#words.textContent !== words) this.#words.textContent = words
    }
  },
)

/** How many matches of what is searched for a text has, in words; nothing where nothing is. */
export function describeMatches(state: EditorState): string {
  const query = getSearchQuery(state)
  if (!query.valid) return query.search === '' ? '' : 'No pattern'
  const { from, to } = state.selection.main
  let total = 0
  let selected = 0
  const matches = query.getCursor(state)
  for (let match = matches.next(); !match.done; match = matches.next()) {
    if (total === MOST) return `${MOST}+ matches`
    total += 1
    if (match.value.from === from && match.value.to === to) selected = total
  }
  if (total === 0) return 'No matches'
  if (selected > 0) return `${selected} of ${total}`
  return total === 1 ? '1 match' : `${total} matches`
}
