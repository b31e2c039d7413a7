import { inTab } from './kept.js'

/** The part of the address that brings a token: a fragment, which no server and no log gets to see. */
const PARAMETER = 'token'

/** The token that this tab has; null where it has none. */
export function keptToken(): string | null {
  return inTab.get(key())
}

/** Keeps a token for as long as this tab is there; null lets go of it. */
export function keepToken(token: string | null): void {
  inTab.set(key(), token)
}

/** Takes the token out of the page's address, so that nobody sees or shares it there, and keeps it. */
export function takeLinkedToken(): boolean {
  const fragment = new URLSearchParams(location.hash.slice(1))
  const token = cleanToken(fragment.get(PARAMETER) ?? '')
  if (!fragment.has(PARAMETER)) return false
  fragment.delete(PARAMETER)
  const rest = fragment.toString()
  history.replaceState(history.state, '', `${location.pathname}${location.search}${rest && `#${rest}`}`)
  if (token !== '') keepToken(token)
  return token !== ''
}

/** A token as it was meant: lines of a terminal or a mail may have been copied with it. */
export function cleanToken(pasted: string): string {
  return pasted.trim().replace(/^Bearer\s+/i, '').replace(/\s+/g, '')
}

/** Servers mounted at different paths of one host have a token each. */
function key(): string {
  return `collab.token:${new URL('./', document.baseURI).pathname}`
}
