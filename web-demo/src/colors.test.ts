import { expect, test } from 'vitest'

import { PALETTE, contrast, safeColor } from './colors.js'

const LIGHT_PAGE = '#ffffff'
const DARK_PAGE = '#141618'

test.each(PALETTE)('%s is readable under white text, on light and on dark', (color) => {
  expect(contrast(color, '#ffffff')).toBeGreaterThanOrEqual(4.5)
  expect(contrast(color, LIGHT_PAGE)).toBeGreaterThanOrEqual(3)
  expect(contrast(color, DARK_PAGE)).toBeGreaterThanOrEqual(3)
})

test('contrast is that of WCAG', () => {
  expect(contrast('#000000', '#ffffff')).toBeCloseTo(21)
  expect(contrast('#777777', '#ffffff')).toBeCloseTo(4.48, 2)
})

test('a colour from another client that is not a colour is replaced', () => {
  expect(safeColor('#A1B2C3', 1)).toBe('#A1B2C3')
  expect(PALETTE).toContain(safeColor('red;background:url(//evil.example)', 12345))
  expect(PALETTE).toContain(safeColor(undefined, 4294967295))
})
