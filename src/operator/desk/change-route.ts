import type { Notice } from './visit.ts';

/** The fields of a submitted form. */
export type Form = Readonly<Record<string, string | undefined>>;

export type Params = Readonly<Record<string, string>>;

/** The answer of the API. */
export type Answer = Readonly<Record<string, unknown>>;

/** Links to the run that was started. */
export function begun(run: unknown, text: string): Omit<Notice, 'tone'> {
  return { text, link: { to: `/runs/${String(run)}`, label: `Open run ${String(run)}` } };
}

/** A form of the desk, and the API request that it makes. */
export interface ChangeRoute {
  readonly path: string;
  /** Of the API. */
  readonly to: (params: Params) => string;
  /** Members besides the person and the reason. @defaultValue none */
  readonly body?: (form: Form, params: Params) => object;
  /** The notice after success, with a link to what was started. */
  readonly done: (form: Form, params: Params, answer: Answer) => string | Omit<Notice, 'tone'>;
}
