import {
  HighlightStyle,
  Language,
  defineLanguageFacet,
  languageDataProp,
  syntaxHighlighting,
} from '@codemirror/language'
import type { Extension } from '@codemirror/state'
import { EditorView } from '@codemirror/view'
import { tags } from '@lezer/highlight'
import { GFM, parser } from '@lezer/markdown'

import { boundedParagraphs } from './bounded-paragraphs.js'
import { lineDirection } from './line-direction.js'

const facet = defineLanguageFacet()
const markdown = new Language(
  facet,
  parser.configure([GFM, boundedParagraphs, { props: [languageDataProp.add({ Document: facet })] }]),
  [],
  'markdown',
)

const highlighting = HighlightStyle.define([
  { tag: tags.heading1, fontSize: '1.7em', fontWeight: '700', lineHeight: '1.3' },
  { tag: tags.heading2, fontSize: '1.35em', fontWeight: '700', lineHeight: '1.35' },
  { tag: tags.heading3, fontSize: '1.12em', fontWeight: '700' },
  { tag: [tags.heading4, tags.heading5, tags.heading6], fontWeight: '700' },
  { tag: tags.strong, fontWeight: '700' },
  { tag: tags.emphasis, fontStyle: 'italic' },
  { tag: tags.strikethrough, textDecoration: 'line-through' },
  { tag: tags.quote, color: 'var(--soft)' },
  { tag: tags.monospace, fontFamily: 'var(--code-font)', fontSize: '0.9em' },
  { tag: [tags.link, tags.url], color: 'var(--accent)' },
  { tag: [tags.processingInstruction, tags.contentSeparator], color: 'var(--faint)' },
])

const theme = EditorView.theme({
  '&': { height: '100%', color: 'var(--ink)', backgroundColor: 'transparent' },
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { fontFamily: 'var(--text-font)', fontSize: 'var(--text-size)', lineHeight: '1.7' },
  '.cm-content': {
    boxSizing: 'border-box',
    width: '100%',
    maxWidth: '46rem',
    margin: '0 auto',
    padding: '2.5rem clamp(1.25rem, 4vw, 3rem) 40vh',
    caretColor: 'var(--ink)',
  },
  '.cm-line': { padding: '0', textAlign: 'start' },
  '.cm-line::selection, .cm-line ::selection': { backgroundColor: 'var(--selected)' },
  '.cm-placeholder': { color: 'var(--faint)' },
  '.cm-selectionMatch': { backgroundColor: 'var(--match)' },
  '.cm-searchMatch': { backgroundColor: 'var(--match)', borderRadius: '2px' },
  '.cm-searchMatch-selected': { backgroundColor: 'var(--match-selected)' },
  '&.cm-focused .cm-matchingBracket': { backgroundColor: 'var(--match)' },
  '.cm-panels': {
    color: 'var(--ink)',
    backgroundColor: 'var(--side)',
    borderBottom: '1px solid var(--line)',
  },
  '.cm-panel.cm-search': { padding: '0.5rem 0.75rem', fontFamily: 'var(--ui-font)' },
  '.cm-panel.cm-search label': {
    display: 'inline-flex',
    alignItems: 'center',
    gap: '0.3rem',
    marginRight: '0.6rem',
    fontSize: '0.85rem',
  },
  '.cm-panel.cm-search input[type=checkbox]': { margin: '0', accentColor: 'var(--accent)' },
  '.cm-match-count': {
    marginInline: '0.25rem 0.75rem',
    color: 'var(--soft)',
    fontSize: '0.85rem',
    fontVariantNumeric: 'tabular-nums',
  },
  '.cm-panel.cm-search [name=close]': {
    top: '0.5rem',
    right: '0.75rem',
    width: '2rem',
    height: '2rem',
    borderRadius: '6px',
    color: 'var(--soft)',
    fontSize: '1.25rem',
    cursor: 'pointer',
  },
  '.cm-panel.cm-search [name=close]:hover, .cm-button:hover': { backgroundColor: 'var(--hover)' },
  '.cm-panel.cm-search :focus-visible': { outline: '2px solid var(--accent)', outlineOffset: '1px' },
  '.cm-textfield': {
    padding: '0.3rem 0.5rem',
    border: '1px solid var(--line)',
    borderRadius: '6px',
    color: 'var(--ink)',
    backgroundColor: 'var(--page)',
    font: 'inherit',
    fontSize: '0.85rem',
  },
  '.cm-button': {
    padding: '0.3rem 0.6rem',
    border: '1px solid var(--line)',
    borderRadius: '6px',
    color: 'var(--ink)',
    backgroundColor: 'var(--page)',
    backgroundImage: 'none',
    font: 'inherit',
    fontSize: '0.85rem',
  },
  // Of a text as it was. Firefox overlooks what is added when the sheet is in a shadow root already.
  '.cm-inserted': {
    backgroundColor: 'var(--inserted)',
    borderRadius: '2px',
    textDecoration: 'none',
    boxShadow: 'inset 0 -2px 0 var(--good)',
  },
  '.cm-removed': {
    backgroundColor: 'var(--removed)',
    borderRadius: '2px',
    color: 'var(--bad)',
    textDecoration: 'line-through',
    whiteSpace: 'pre-wrap',
  },
  '@media print': {
    '&': { height: 'auto' },
    '.cm-scroller': { overflow: 'visible !important' },
    '.cm-content': { maxWidth: 'none', padding: '0' },
    '.cm-panels, .cm-placeholder': { display: 'none' },
  },
  '@media (max-width: 760px)': {
    '.cm-panel.cm-search': { display: 'flex', flexWrap: 'wrap', alignItems: 'center', gap: '0.375rem' },
    // Smaller would make phones zoom in on the field.
    '.cm-panel.cm-search .cm-textfield': {
      flex: '1 1 100%',
      boxSizing: 'border-box',
      height: '2.5rem',
      margin: '0',
      fontSize: '1rem',
    },
    // Beside it is what closes the panel.
    '.cm-panel.cm-search .cm-textfield[name=search]': { flexBasis: 'calc(100% - 3rem)', marginRight: '3rem' },
    '.cm-panel.cm-search .cm-button': { minHeight: '2.5rem', margin: '0' },
    '.cm-panel.cm-search label': { minHeight: '2rem', margin: '0 0.5rem 0 0' },
    '.cm-panel.cm-search [name=close]': { width: '2.5rem', height: '2.5rem' },
  },
})

/** How texts look, whether they can be edited or not. */
export const appearance: Extension = [
  markdown,
  syntaxHighlighting(highlighting),
  EditorView.lineWrapping,
  lineDirection,
  theme,
]

/** The shadow root of an element, where CodeMirror adopts its style sheets. */
export function shadowOf(host: HTMLElement): ShadowRoot {
  // No content security policy refuses those; in the document it would add a `style` element.
  return host.shadowRoot ?? host.attachShadow({ mode: 'open', delegatesFocus: true })
}
