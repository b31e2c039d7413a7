/** The element of the page with this id. */
export function byId<E extends HTMLElement = HTMLElement>(id: string): E {
  const found = document.getElementById(id)
  if (!found) throw new Error(`expected an element with the id "${id}", got none`)
  return found as E
}

/** Puts what was popped up below what it belongs to, as far right as that is. */
export function placeBelow(popped: HTMLElement, anchor: HTMLElement): void {
  const { bottom, right } = anchor.getBoundingClientRect()
  popped.style.top = `${bottom + 6}px`
  popped.style.right = `${Math.max(8, document.documentElement.clientWidth - right)}px`
}

const SVG = 'http://www.w3.org/2000/svg'

/** Draws one of the page's icons, which says nothing to those who cannot see it. */
export function icon(name: string): SVGElement {
  const svg = document.createElementNS(SVG, 'svg')
  const use = document.createElementNS(SVG, 'use')
  use.setAttribute('href', `#icon-${name}`)
  svg.setAttribute('aria-hidden', 'true')
  svg.append(use)
  return svg
}

/** Makes an element. */
export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Record<string, string> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value)
  made.append(...children)
  return made
}
