import type { Block, Cell, Piece, Section, Table } from '../views/document.ts';
import type { ReportDocument, ServicePart } from './report-document.ts';
import { NOTHING, printedFigure } from '../views/figures.ts';

/** A report as GitHub-flavoured Markdown, with the words, numbers and order of the HTML. */
export function renderMarkdown({ title, subtitle, verdict, services, footnote }: ReportDocument): string {
  return [
    `# Crossfade: ${title}`,
    cellText(subtitle),
    `**${verdict.mark}**`,
    ...services.map(serviceText),
    `---\n\n${footnote}`,
  ]
    .join('\n\n')
    .concat('\n');
}

function serviceText({ name, standing, verdict, highlights, next, sections }: ServicePart): string {
  return [
    `## ${name}`,
    `Stage **${standing}** · ${verdict.mark}`,
    factsText(highlights),
    `**Next:** ${cellText(next.cell)}`,
    ...sections.map(sectionText),
  ]
    .filter((text) => text !== '')
    .join('\n\n');
}

/** A part of the report, or a view. */
export function sectionText({ title, blocks }: Section): string {
  return [`### ${title}`, ...blocks.map(blockText)].join('\n\n');
}

function blockText(block: Block): string {
  switch (block.kind) {
    case 'facts':
      return factsText(block.facts);
    case 'table':
      return tableText(block);
    case 'charts':
      return block.charts
        .filter(({ total }) => total.length > 0)
        .map(({ title, total }) => `- ${title}: ${cellText(total)} in all`)
        .join('\n');
    case 'note':
      return `**${cellText(block.cell)}**`;
    case 'remark':
      return cellText(block.cell);
    case 'more':
      return [`#### ${block.title}`, ...block.blocks.map(blockText)].join('\n\n');
  }
}

function factsText(facts: readonly { readonly label: string; readonly cell: Cell }[]): string {
  return facts.map(({ label, cell }) => `- ${label}: ${cellText(cell)}`).join('\n');
}

function tableText({ columns, rows, empty }: Table): string {
  if (rows.length === 0) return empty;
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [
    line(columns.map(({ head }) => head)),
    line(columns.map(({ isNumber }) => (isNumber === true ? '---:' : '---'))),
    ...rows.map((row) => line(row.map((cell) => cellText(cell).replaceAll('|', '\\|')))),
  ].join('\n');
}

const cellText = (cell: Cell): string => cell.map(pieceText).join('');

function pieceText(piece: Piece): string {
  if (typeof piece === 'string') return onOneLine(piece).replaceAll('<', '&lt;');
  if ('code' in piece) return codeText(onOneLine(piece.code));
  if ('link' in piece)
    return `[${onOneLine(piece.link).replaceAll(/[[\]<]/g, '')}](${encodeURI(piece.href)})`;
  if ('at' in piece) return piece.at ?? NOTHING;
  if ('aside' in piece) return ` (${cellText(piece.aside)})`;
  return 'mark' in piece ? piece.mark : printedFigure(piece);
}

/** Text that a person wrote, such as a rule's reason, must not become a heading or a table row. */
const onOneLine = (text: string): string => text.replaceAll(/[\r\n\u2028\u2029]+/g, ' ');

/** Uses more backticks than the text has in a row, so that the text cannot end its code span. */
function codeText(text: string): string {
  const longest = Math.max(0, ...[...text.matchAll(/`+/g)].map(([ticks]) => ticks.length));
  const fence = '`'.repeat(longest + 1);
  return longest === 0 ? `${fence}${text}${fence}` : `${fence} ${text} ${fence}`;
}
