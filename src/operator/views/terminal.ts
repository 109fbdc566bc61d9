import {
  type Block,
  type Cell,
  type Column,
  type Fact,
  type Piece,
  type Section,
  type Table,
  TONE_SIGNS,
} from './document.ts';
import { NOTHING, printedFigure } from './figures.ts';

/** Sections as plain text. A single section is printed without its title. */
export function sectionsText(sections: readonly Section[]): string {
  const [only, ...others] = sections;
  if (only === undefined) return '';
  return others.length === 0 ? blocksText(only.blocks) : sections.map(sectionText).join('\n\n');
}

/** The title, and the blocks indented below it. */
export function sectionText({ title, blocks }: Section): string {
  return `${title}\n${indented(blocksText(blocks))}`;
}

export function indented(text: string): string {
  return text.replaceAll(/^(?=.)/gm, '  ');
}

const blocksText = (blocks: readonly Block[]): string => blocks.map(blockText).join('\n');

function blockText(block: Block): string {
  switch (block.kind) {
    case 'facts':
      return factsText(block.facts);
    case 'table':
      return tableText(block);
    case 'charts':
      return block.charts.map(({ title, total }) => `${title}: ${cellText(total)}`).join('\n');
    case 'note':
      return `${TONE_SIGNS[block.tone]} ${cellText(block.cell)}`.trimStart();
    case 'remark':
      return cellText(block.cell);
    case 'more':
      return sectionText(block);
  }
}

function factsText(facts: readonly Fact[]): string {
  const widest = Math.max(...facts.map(({ label }) => label.length));
  return facts.map(({ label, cell }) => `${label.padEnd(widest)}  ${cellText(cell)}`).join('\n');
}

/** A table with aligned columns, or the words for none. */
export function tableText({ columns, rows, empty, advice }: Table): string {
  if (rows.length === 0) return advice === undefined ? empty : `${empty}. ${advice}`;
  return aligned(
    columns,
    rows.map((row) => row.map((cell) => cellText(cell) || NOTHING)),
  );
}

/** Rows of texts, each column as wide as its widest text. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  return aligned(
    heads.map((head) => ({ head })),
    rows,
  );
}

function aligned(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const all = [columns.map(({ head }) => head), ...rows];
  const widths = columns.map((_, index) => Math.max(...all.map((row) => row[index]?.length ?? 0)));
  const padded = (text: string, index: number): string =>
    columns[index]?.isNumber === true ? text.padStart(widths[index] ?? 0) : text.padEnd(widths[index] ?? 0);
  return all.map((row) => row.map(padded).join('  ').trimEnd()).join('\n');
}

/** Details are in parentheses after what they explain. */
function cellText(cell: Cell): string {
  const details = cell.flatMap((piece) =>
    typeof piece === 'object' && 'aside' in piece ? [cellText(piece.aside)] : [],
  );
  const text = cell.map(pieceText).join('');
  if (details.length === 0 || text === '') return text + details.join('; ');
  return `${text} (${details.join('; ')})`;
}

function pieceText(piece: Piece): string {
  if (typeof piece === 'string') return piece;
  if ('code' in piece) return piece.code;
  if ('link' in piece) return piece.link;
  if ('at' in piece) return piece.at ?? NOTHING;
  if ('aside' in piece) return '';
  return 'mark' in piece ? piece.mark : printedFigure(piece);
}
