import { PALETTE, safeColor, tint } from './colors.js'
import { onDevice } from './kept.js'

/** A person as the others see them. */
export interface User {
  name: string
  color: string
  colorLight: string
  /** Who the server knows them to be, where they signed in. */
  id?: string
}

const NAME_KEY = 'collab.user.name'
const COLOR_KEY = 'collab.user.color'
/** Their number has no divisor in common with that of the colours: each goes with every colour. */
export const ANIMALS = [
  'Adder', 'Badger', 'Bison', 'Bream', 'Civet', 'Crane', 'Dingo', 'Dormouse', 'Egret', 'Ermine', 'Falcon',
  'Finch', 'Gecko', 'Gull', 'Hare', 'Heron', 'Ibis', 'Jackdaw', 'Kestrel', 'Kite', 'Lark', 'Lemur', 'Lynx',
  'Magpie', 'Marten', 'Moose', 'Newt', 'Nuthatch', 'Ocelot', 'Otter', 'Owl', 'Panda', 'Perch', 'Plover',
  'Quail', 'Raven', 'Robin', 'Seal', 'Stork', 'Swift', 'Tapir', 'Tern', 'Trout', 'Vole', 'Walrus', 'Wren',
  'Zander',
]

/** Who I am, remembered on this device. */
export class Identity {
  #name: string
  #color: string
  readonly #onchange: (user: User) => void
  #known: { id: string; name: string } | null = null

  constructor(onchange: (user: User) => void) {
    this.#onchange = onchange
    const draw = Math.floor(Math.random() * 1_000)
    this.#name = cleanName(onDevice.get(NAME_KEY) ?? `Guest ${ANIMALS[draw % ANIMALS.length]}`)
    this.#color = safeColor(onDevice.get(COLOR_KEY), draw)
    onDevice.set(NAME_KEY, this.#name)
    onDevice.set(COLOR_KEY, this.#color)
  }

  get user(): User {
    const { id, name } = this.#known ?? { id: undefined, name: this.#name }
    const user = { name, color: this.#color, colorLight: tint(this.#color) }
    return id === undefined ? user : { ...user, id }
  }

  /** As whom they are signed in: the server shows the others this and no other name. */
  set known(known: { id: string; name: string } | null) {
    this.#known = known
    this.#onchange(this.user)
  }

  rename(name: string): void {
    this.#name = cleanName(name)
    onDevice.set(NAME_KEY, this.#name)
    this.#onchange(this.user)
  }

  /** Takes the next colour of the palette. */
  recolor(): void {
    const at = (PALETTE as readonly string[]).indexOf(this.#color)
    this.#color = PALETTE[(at + 1) % PALETTE.length]!
    onDevice.set(COLOR_KEY, this.#color)
    this.#onchange(this.user)
  }
}

/** The longest name that is shown, in UTF-16 units: as long as the field for names takes. */
const NAME_MOST = 40

/** A name as people are shown it: a long one is cut off, and never within a character. */
export function cutName(name: string): string {
  const cut = name.trim().slice(0, NAME_MOST)
  return cut.replace(/[\uD800-\uDBFF]$/, '').trim()
}

/**
 * A name as the server takes it and the others are shown it: the server refuses control characters, and with them the
 * connection.
 */
export function cleanName(name: string): string {
  return cutName(name.replace(/\p{Cc}+/gu, ' ')) || 'Guest'
}

/** Reads what another client calls its user. */
export function readUser(presence: Record<string, unknown>, client: number): User {
  const user = (presence['user'] ?? {}) as Record<string, unknown>
  const name = typeof user['name'] === 'string' ? cutName(user['name']) : ''
  const color = safeColor(user['color'], client)
  return { name: name || 'Guest', color, colorLight: tint(color) }
}

/** One or two letters that stand for a name. */
export function initials(name: string): string {
  const words = name.split(/\s+/).filter(Boolean)
  const chosen = words.length > 1 ? [words[0]!, words.at(-1)!] : words
  return chosen.map((word) => [...word][0]!.toLocaleUpperCase()).join('')
}
