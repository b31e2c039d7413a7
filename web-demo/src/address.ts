/** The longest document name the server takes, in bytes of UTF-8. */
const NAME_MOST_BYTES = 512

/** The document that the page's address names. */
export function addressedDocument(): string | null {
  return new URLSearchParams(location.search).get('doc') || null
}

/** The address of a document, relative to the page. */
export function documentAddress(name: string): string {
  return `?${new URLSearchParams({ doc: name })}`
}

/** What is wrong with a document name; null where nothing is. */
export function nameFault(name: string): string | null {
  if (name === '') return 'A document needs a name.'
  // The server refuses what Unicode calls a control character.
  if (/\p{Cc}/u.test(name)) return 'A name cannot contain line breaks or control characters.'
  const bytes = new TextEncoder().encode(name).byteLength
  if (bytes > NAME_MOST_BYTES) return `A name has at most ${NAME_MOST_BYTES} bytes, this one has ${bytes}.`
  return null
}
