const WORDS = ['a', 'to ', 'type', 'é', '😀', '👨‍👩‍👧', 'e\u0301', '𝒳y', 'together ', '\n']

/**
 * Types at random places of a client's text, and deletes some of it again: only what it has just
 * typed itself, so that nobody else ever deletes it and all that was typed can be accounted for.
 */
export class Typist {
  /** Characters (code points) typed and not deleted. */
  typed = []
  #client
  #timer

  constructor(client) {
    this.#client = client
  }

  /**
   * @param mark code point to put after the first word; each that follows gets the next one, so
   *   that no word is twice in a text. Without it words go unmarked.
   */
  start(seed, everyMs, mark = null) {
    this.stop()
    const random = mulberry32(seed)
    let next = mark
    this.#timer = setInterval(() => {
      this.#type(random, next === null ? '' : String.fromCodePoint(next++))
    }, everyMs)
  }

  stop() {
    clearInterval(this.#timer)
  }

  #type(random, mark) {
    const { text } = this.#client
    const content = text.toString()
    let at = Math.floor(random() * (content.length + 1))
    if (isLowSurrogate(content.charCodeAt(at))) at += 1
    const word = WORDS[Math.floor(random() * WORDS.length)] + mark
    const characters = [...word]
    text.insert(at, word)
    if (random() < 0.25) {
      text.delete(at, characters[0].length)
      characters.shift()
    }
    this.typed.push(...characters)
  }
}

function isLowSurrogate(unit) {
  return unit >= 0xdc00 && unit <= 0xdfff
}

/** A seeded random generator: https://gist.github.com/tommyettinger/46a874533244883189143505d203312c */
function mulberry32(seed) {
  let a = seed
  return () => {
    a = (a + 0x6d2b79f5) | 0
    let t = Math.imul(a ^ (a >>> 15), a | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
