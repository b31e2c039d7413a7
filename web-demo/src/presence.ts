import type { Awareness } from 'y-protocols/awareness'

import { byId, element, placeBelow } from './elements.js'
import { initials, readUser } from './identity.js'

const narrow = matchMedia('(max-width: 760px)')
/** How many people the row shows before it counts the rest. */
const shown = (): number => (narrow.matches ? 2 : 5)

interface Person {
  client: number
  name: string
  color: string
  isMe: boolean
}

/** The row of people who have the document open, and behind its end the list of all of them. */
export class PresenceList {
  readonly #row = byId('presence')
  readonly #everyone = byId('everyone')
  readonly #list = byId('everyone-list')
  readonly #awareness: Awareness
  readonly #visit: (client: number) => void
  readonly #oncount: (people: number) => void
  readonly #controls = new AbortController()
  #people: Person[] = []
  #drawn = ''

  /**
   * @param visit shows where this client is
   * @param oncount told how many people are here
   */
  constructor(
    awareness: Awareness,
    visit: (client: number) => void,
    oncount: (people: number) => void,
  ) {
    this.#awareness = awareness
    this.#visit = visit
    this.#oncount = oncount
    awareness.on('change', this.#draw)
    const { signal } = this.#controls
    this.#everyone.addEventListener('beforetoggle', ({ newState }) => {
      if (newState === 'open') this.#drawEveryone()
    }, { signal })
    this.#everyone.addEventListener('toggle', () => placeBelow(this.#everyone, this.#row), { signal })
    this.#draw()
  }

  destroy(): void {
    this.#controls.abort()
    this.#awareness.off('change', this.#draw)
    this.#everyone.hidePopover()
    this.#row.replaceChildren()
  }

  readonly #draw = (): void => {
    const own = this.#awareness.clientID
    const people = [...this.#awareness.getStates()]
      .filter(([client, presence]) => client === own || 'user' in presence)
      .map(([client, presence]) => ({ client, isMe: client === own, ...readUser(presence, client) }))
      .sort((a, b) => Number(b.isMe) - Number(a.isMe) || a.client - b.client)
    // Cursors move much more often than people come and go.
    const drawn = JSON.stringify(people)
    if (drawn === this.#drawn) return
    this.#drawn = drawn
    this.#people = people
    this.#oncount(people.length)
    const most = shown()
    const items = people.slice(0, most).map((person) => this.#avatar(person))
    const rest = people.length - most
    if (rest > 0) items.push(restMark(rest))
    replaceItems(this.#row, items)
    if (this.#everyone.matches(':popover-open')) this.#drawEveryone()
  }

  #avatar({ client, name, color, isMe }: Person): HTMLLIElement {
    const who = isMe ? `${name} (you)` : name
    const seen = initials(name)
    const avatar = element('button', { type: 'button', class: 'avatar', title: who }, seen)
    // Who speaks to their computer says what they see.
    avatar.setAttribute('aria-label', `${name}, ${seen}${isMe ? ', you' : ': show where'}`)
    avatar.disabled = isMe
    avatar.style.setProperty('--person', color)
    avatar.addEventListener('click', () => this.#visit(client))
    return itemOf(String(client), avatar)
  }

  #drawEveryone(): void {
    const items = this.#people.map(({ client, name, color, isMe }) => {
      const choice = element('button', { type: 'button', class: 'choice', title: name })
      choice.append(element('span', { class: 'person' }), element('bdi', {}, name), isMe ? ' (you)' : '')
      choice.disabled = isMe
      choice.style.setProperty('--person', color)
      choice.addEventListener('click', () => {
        this.#everyone.hidePopover()
        this.#visit(client)
      })
      return itemOf(String(client), choice)
    })
    replaceItems(this.#list, items)
  }
}

/** The end of the row: how many more there are, and the way to them. */
function restMark(people: number): HTMLLIElement {
  const label = `+${people}: show everyone who is here`
  const attributes = { type: 'button', class: 'avatar rest', popovertarget: 'everyone', 'aria-label': label }
  return itemOf('rest', element('button', attributes, `+${people}`))
}

function itemOf(key: string, button: HTMLButtonElement): HTMLLIElement {
  return element('li', { 'data-key': key }, button)
}

/** Puts items in the place of others; who had the focus on one keeps it there. */
function replaceItems(list: HTMLElement, items: HTMLLIElement[]): void {
  const held = list.contains(document.activeElement) ? document.activeElement?.closest('li')?.dataset['key'] : undefined
  list.replaceChildren(...items)
  if (held !== undefined) items.find(({ dataset }) => dataset['key'] === held)?.querySelector('button')?.focus()
}
