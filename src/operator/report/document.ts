import type { Criterion } from '../api/history.ts';

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

/** A number of the report. Every format prints it in the same way. */
export interface Figure {
  readonly value: number | null;
  readonly unit: Unit;
}

export type Tone = 'good' | 'bad' | 'warn' | 'plain';

/** A word for a state, with its colour. */
export interface Mark {
  readonly mark: string;
  readonly tone: Tone;
}

/** A command, or a name as programs use it. */
interface Code {
  readonly code: string;
}

/** A page of the desk. */
export interface Link {
  readonly link: string;
  readonly href: string;
}

export type Piece = string | Figure | Mark | Code | Link;

export type Cell = readonly Piece[];

export interface Fact {
  readonly label: string;
  readonly cell: Cell;
}

export interface Column {
  readonly head: string;
  /** Printed on the right, so that digits align. */
  readonly isNumber?: true;
}

export interface Table {
  readonly kind: 'table';
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly Cell[])[];
  /** Shown if there is no row. */
  readonly empty: string;
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

export interface ServicePart {
  readonly name: string;
  /** The active stage, the requested stage, and what blocks it. */
  readonly standing: string;
  /** What happened on the day, in one sentence. */
  readonly story: string;
  readonly phases: readonly { readonly name: string; readonly state: 'behind' | 'present' | 'ahead' }[];
  readonly verdict: Mark;
  readonly highlights: readonly Fact[];
  readonly next: Extract<Block, { kind: 'note' }>;
  readonly sections: readonly Section[];
}

/** The report as a document, from which HTML and Markdown are made. */
export interface ReportDocument {
  readonly title: string;
  readonly subtitle: Cell;
  readonly verdict: Mark;
  readonly services: readonly ServicePart[];
  readonly footnote: string;
}

export const count = (value: number | null): Figure => ({ value, unit: 'count' });
export const change = (value: number | null): Figure => ({ value, unit: 'change' });
export const rate = (value: number | null): Figure => ({ value, unit: 'rate' });
export const seconds = (value: number | null): Figure => ({ value, unit: 'seconds' });
export const ms = (value: number | null): Figure => ({ value, unit: 'ms' });
export const code = (text: string): Code => ({ code: text });
export const mark = (text: string, tone: Tone): Mark => ({ mark: text, tone });

/** A page of the desk; plain text where there is no desk. */
export function linked(desk: string | null, path: string, text: string): Piece {
  return desk === null ? text : { link: text, href: `${desk}${path}` };
}

/** A failed criterion to stay is bad. A failed criterion to continue is only missing. */
export function verdictMark({ verdict, for: purpose }: Pick<Criterion, 'verdict' | 'for'>): Mark {
  if (verdict === 'pass') return mark('✓ pass', 'good');
  if (verdict === 'not_judged') return mark('– not judged', 'plain');
  return mark('✗ fail', purpose === 'stay' ? 'bad' : 'warn');
}

/** The number that fail, else the number missing, else that all pass. */
export function failureMark(toStay: number, toGoOn: number): Mark {
  if (toStay > 0) return mark(`✗ ${toStay} failing`, 'bad');
  return toGoOn > 0 ? mark(`${toGoOn} missing to continue`, 'warn') : mark('✓ criteria pass', 'good');
}

/** A protocol word as people read it: `read_cutover` becomes `read cutover`. */
export const words = (word: string): string => word.replaceAll('_', ' ');
