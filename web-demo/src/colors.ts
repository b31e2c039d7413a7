/**
 * Colours for people, each readable under white text and against the light and the dark page
 * (a test measures it).
 */
export const PALETTE = [
  '#0b7a6f', // teal
  '#b4472e', // brick
  '#3f6bc4', // blue
  '#a3458f', // plum
  '#5c7a1f', // olive
  '#7a5bc4', // violet
  '#a8620f', // amber
  '#c13c63', // rose
  '#2a7a9c', // sea
  '#7c6a4a', // umber
] as const

/** The colour behind a person's selection: their own, mostly transparent. */
export function tint(color: string): string {
  return `${color}33`
}

/** A colour that another client sent, or one of ours where it is not plainly a colour. */
export function safeColor(color: unknown, client: number): string {
  if (typeof color === 'string' && /^#[0-9a-f]{6}$/i.test(color)) return color
  return PALETTE[client % PALETTE.length]!
}

/** Relative luminance of a `#rrggbb` colour: https://www.w3.org/TR/WCAG22/#dfn-relative-luminance */
export function luminance(color: string): number {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const channel = Number.parseInt(color.slice(at, at + 2), 16) / 255
    return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4
  }) as [number, number, number]
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

/** Contrast of two `#rrggbb` colours, from 1 to 21. */
export function contrast(one: string, other: string): number {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b) as [number, number]
  return (light + 0.05) / (dark + 0.05)
}
