import { byId, element, icon } from '../elements.js'
import type { Author } from './authors.js'
import { type Row, dayOf, keyOf, timesOf } from './changes.js'
import { type Restore, shownName } from './restores.js'
import type { Version } from './versions.js'

/** How many people a row names before it counts the rest. */
const NAMED = 3

/** What the list needs to know of its surroundings. */
export interface RowListOptions {
  describe: (author: string | null) => Author
  onchoose: (row: Row) => void
}

/** The list of the history: rows below the days they are of. */
export class RowList {
  readonly #list = byId('history-list')
  readonly #options: RowListOptions
  readonly #items = new Map<string, { item: HTMLLIElement; drawn: string }>()

  constructor(options: RowListOptions, signal: AbortSignal) {
    this.#options = options
    this.#list.replaceChildren()
    this.#list.addEventListener('keydown', (event) => this.#move(event), { signal })
  }

  /** @param chosen key of the row whose text is shown */
  draw(rows: readonly Row[], chosen: string | null, newest: number): void {
    const items: HTMLLIElement[] = []
    const kept = new Set<string>()
    let day = ''
    let days = 0
    const nowMs = Date.now()
    const take = (key: string, drawn: string, make: () => HTMLElement): void => {
      kept.add(key)
      let held = this.#items.get(key)
      if (held === undefined) this.#items.set(key, (held = { item: element('li'), drawn: '' }))
      if (held.drawn !== drawn) {
        const hadFocus = held.item.contains(document.activeElement)
        held.drawn = drawn
        held.item.replaceChildren(make())
        if (hadFocus) held.item.querySelector('button')?.focus()
      }
      items.push(held.item)
    }
    for (const [index, row] of rows.entries()) {
      // A version stands with the moment it ends in, whenever somebody named it.
      const isMoment = row.kind === 'moment'
      const ended = isMoment ? row : rows.slice(index).find(({ kind }) => kind === 'moment')
      const rowDay = dayOf(timeOf(ended ?? row), nowMs)
      if (rowDay !== day) {
        day = rowDay
        days += 1 // Clocks may go backwards, and a day come twice.
        take(`day ${days}`, rowDay, () => element('h3', {}, rowDay))
      }
      const key = keyOf(row)
      const isChosen = key === chosen
      const isNewest = isMoment && row.seq === newest
      const authors = (row.kind === 'version' ? [row.version.author] : row.moment.authors).map(
        this.#options.describe,
      )
      const drawn = JSON.stringify([row, authors, isChosen, isNewest, day])
      take(key, drawn, () => this.#button(row, authors, isChosen, isNewest))
    }
    const heldAt = this.#buttons().findIndex((button) => button === document.activeElement)
    for (const [key, { item }] of this.#items) {
      if (kept.has(key)) continue
      item.remove()
      this.#items.delete(key)
    }
    // Only what moved is moved, so that scrolling and focus stay.
    items.forEach((item, index) => {
      const there = this.#list.children[index]
      if (there !== item) this.#list.insertBefore(item, there ?? null)
    })
    if (heldAt >= 0 && !this.#list.contains(document.activeElement)) {
      // What had the focus is gone: it goes to what stands there now.
      const buttons = this.#buttons()
      ;(buttons[Math.min(heldAt, buttons.length - 1)] ?? byId('history-title')).focus()
    }
  }

  #buttons(): HTMLButtonElement[] {
    return [...this.#list.querySelectorAll('button')]
  }

  #button(row: Row, authors: Author[], isChosen: boolean, isNewest: boolean): HTMLButtonElement {
    const button = element('button', { type: 'button', class: `row ${row.kind}` })
    if (isChosen) button.setAttribute('aria-current', 'true')
    const title =
      row.kind === 'version'
        ? shownName(row.version.name)
        : timesOf(row.moment.firstMs, row.moment.lastMs)
    const head = element('span', { class: 'row-title' }, element('bdi', {}, title))
    if (row.kind === 'version') head.prepend(icon('flag'))
    else if (row.restore) head.prepend(icon('history'))
    if (isNewest) head.append(element('span', { class: 'row-tag' }, 'Newest'))
    button.append(head, row.kind === 'version' ? namedBy(row.version, authors[0]!) : who(authors, row.restore))
    button.addEventListener('click', () => this.#options.onchoose(row))
    return button
  }

  #move(event: KeyboardEvent): void {
    const buttons = this.#buttons()
    const at = buttons.indexOf(event.target as HTMLButtonElement)
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key]
    if (to === undefined || at < 0) return
    event.preventDefault()
    buttons[to]?.focus()
  }
}

/** The people of a row, each with their colour; and what they restored, where it was that. */
export function who(authors: readonly Author[], restore: Restore | null = null): HTMLElement {
  const named = authors.slice(0, NAMED).map(({ name, color, isKnown }) => {
    const person = element('span', { class: 'person' }, element('bdi', {}, name))
    person.style.setProperty('--person', color)
    if (isKnown) person.append(known())
    return person
  })
  const rest = authors.length - NAMED
  const more = rest > 0 ? [element('span', { class: 'more' }, `and ${rest} more`)] : []
  if (restore) more.push(element('span', { class: 'restored' }, 'Restored ', element('bdi', {}, restore.what)))
  return element('span', { class: 'row-who' }, ...named, ...more)
}

function namedBy({ created_ms, automatic }: Version, author: Author): HTMLElement {
  const time = `${dayOf(created_ms, Date.now())}, ${timesOf(created_ms, created_ms)}`
  const by = automatic ? [', by itself'] : [', by ', element('bdi', {}, author.name)]
  return element('span', { class: 'row-who' }, time, ...by)
}

/** The time by which a row belongs to a day. */
function timeOf(row: Row): number {
  return row.kind === 'version' ? row.version.created_ms : row.moment.lastMs
}

/** The mark of somebody whom the server knows. */
function known(): Element {
  const mark = icon('check')
  mark.setAttribute('role', 'img')
  mark.setAttribute('aria-label', 'signed in')
  mark.removeAttribute('aria-hidden')
  return mark
}
