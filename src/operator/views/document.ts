/** The meaning of a number, which decides how it is printed. */
export type Unit =
  | 'count'
  | 'change'
  /** 0–1. */
  | 'rate'
  /** A difference of two rates, -1–1. */
  | 'change_rate'
  /** A factor. */
  | 'ratio'
  /** 0–100. */
  | 'percentage'
  | 'ms'
  | 'change_ms'
  | 'seconds'
  | 'days'
  | 'yes_no';

/** A number. Every format prints it in the same way. */
export interface Figure {
  readonly value: number | null;
  readonly unit: Unit;
}

export type Tone = 'good' | 'bad' | 'warn' | 'plain';

/** Shown before a mark or a note, because colours alone are not enough. */
export const TONE_SIGNS: Readonly<Record<Tone, string>> = { good: '●', warn: '◆', bad: '▲', plain: '' };

/** A word for a state, with its colour. */
export interface Mark {
  readonly mark: string;
  readonly tone: Tone;
}

/** A command, or a name as programs use it. */
interface Code {
  readonly code: string;
}

/** A page of the desk. A terminal shows the text only. */
export interface Link {
  readonly link: string;
  readonly href: string;
}

/** A point in time, as ISO-8601. A page shows it in the zone of its reader. */
interface Instant {
  readonly at: string | null;
}

/** A detail of what is before it. */
interface Aside {
  readonly aside: Cell;
}

export type Piece = string | Figure | Mark | Code | Link | Instant | Aside;

export type Cell = readonly Piece[];

export interface Fact {
  readonly label: string;
  readonly cell: Cell;
}

export interface Column {
  readonly head: string;
  /** Printed on the right, so that digits align. */
  readonly isNumber?: true;
  /** May hold long words, which a page breaks. */
  readonly isLong?: true;
}

export interface Table {
  readonly kind: 'table';
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly Cell[])[];
  /** Shown if there is no row. */
  readonly empty: string;
  /** What an empty table means, or what to do. */
  readonly advice?: string;
}

/** One bar for each label. A table shows the same numbers. */
export interface Chart {
  readonly title: string;
  readonly total: Cell;
  readonly tone: 'accent' | 'bad' | 'soft';
  readonly unit: Unit;
  readonly labels: readonly string[];
  readonly values: readonly (number | null)[];
  readonly empty: string;
  /** Events, as lines across the bars. */
  readonly marks: readonly ChartMark[];
}

export interface ChartMark {
  readonly kind: 'trip' | 'flag' | 'release';
  /** Position as a share of the width, 0–1. */
  readonly place: number;
  readonly what: string;
}

/** Each kind has its own shape, because colours alone are not enough. */
export const MARK_SIGNS: Readonly<Record<ChartMark['kind'], string>> = { trip: '▲', flag: '◆', release: '●' };

export type Block =
  | { readonly kind: 'facts'; readonly facts: readonly Fact[] }
  | Table
  | { readonly kind: 'charts'; readonly charts: readonly Chart[] }
  | { readonly kind: 'note'; readonly tone: Tone; readonly cell: Cell }
  /** How to read the numbers before it. */
  | { readonly kind: 'remark'; readonly cell: Cell }
  /** Details that are folded. */
  | { readonly kind: 'more'; readonly title: string; readonly blocks: readonly Block[] };

export interface Section {
  readonly title: string;
  readonly blocks: readonly Block[];
}

export const count = (value: number | null): Figure => ({ value, unit: 'count' });
export const change = (value: number | null): Figure => ({ value, unit: 'change' });
export const rate = (value: number | null): Figure => ({ value, unit: 'rate' });
export const percentage = (value: number | null): Figure => ({ value, unit: 'percentage' });
export const seconds = (value: number | null): Figure => ({ value, unit: 'seconds' });
export const ms = (value: number | null): Figure => ({ value, unit: 'ms' });
export const instant = (iso: string | null): Instant => ({ at: iso });
export const aside = (...pieces: Cell): Aside => ({ aside: pieces });
export const code = (text: string): Code => ({ code: text });
export const mark = (text: string, tone: Tone): Mark => ({ mark: text, tone });
export const link = (text: string, href: string): Link => ({ link: text, href });

/** A lane, by its key. */
export function laneLink(lane: string): Link {
  const slash = lane.indexOf('/');
  return link(lane, `/lanes/${lane.slice(0, slash)}/${encodeURIComponent(lane.slice(slash + 1))}`);
}

/** A page of the desk; plain text where there is no desk. */
export function linked(desk: string | null, path: string, text: string): Piece {
  return desk === null ? text : { link: text, href: `${desk}${path}` };
}

export const fact = (label: string, ...cell: Cell): Fact => ({ label, cell });
export const facts = (...shown: readonly Fact[]): Block => ({ kind: 'facts', facts: shown });
export const note = (tone: Tone, ...cell: Cell): Extract<Block, { kind: 'note' }> => ({
  kind: 'note',
  tone,
  cell,
});
export const remark = (...cell: Cell): Block => ({ kind: 'remark', cell });
/** Details, which a page folds. */
export const more = (title: string, ...blocks: readonly Block[]): Block => ({ kind: 'more', title, blocks });
export const section = (title: string, ...blocks: readonly Block[]): Section => ({ title, blocks });

/** A column, and what a row shows in it. */
interface ColumnOf<Row> extends Column {
  readonly cell: (row: Row) => Cell;
}

type CellOf<Row, Value> = (row: Row) => Value;

export function column<Row>(head: string, of: CellOf<Row, Piece | Cell>): ColumnOf<Row> {
  return { head, cell: (row) => [of(row)].flat().filter((piece) => piece !== '') };
}

/** A column that may hold long words. */
export function words<Row>(head: string, of: CellOf<Row, Piece | Cell>): ColumnOf<Row> {
  return { ...column(head, of), isLong: true };
}

/** A column on the right. */
export function numbers<Row>(head: string, of: CellOf<Row, Piece | Cell>): ColumnOf<Row> {
  return { ...column(head, of), isNumber: true };
}

export function counts<Row>(head: string, of: CellOf<Row, number | null>): ColumnOf<Row> {
  return numbers(head, (row) => count(of(row)));
}

export function times<Row>(head: string, of: CellOf<Row, string | null>): ColumnOf<Row> {
  return { head, cell: (row) => [instant(of(row))] };
}

/** A table of rows of one kind. */
export function tableOf<Row>(
  rows: readonly Row[],
  columns: readonly ColumnOf<Row>[],
  none: Pick<Table, 'empty' | 'advice'>,
): Table {
  return {
    kind: 'table',
    columns,
    rows: rows.map((row) => columns.map(({ cell }) => cell(row))),
    ...none,
  };
}
