import type { Notice } from './visit.ts';

/** What a form sent. */
export type Form = Readonly<Record<string, string | undefined>>;

export type Params = Readonly<Record<string, string>>;

/** What the API answered. */
export type Answer = Readonly<Record<string, unknown>>;

/** A run that was begun. */
export function begun(run: unknown, text: string): Omit<Notice, 'tone'> {
  return { text, link: { to: `/runs/${String(run)}`, label: `Open run ${String(run)}` } };
}

/** A form of the desk, and the request of the API that it stands for. */
export interface ChangeRoute {
  readonly path: string;
  /** Of the API. */
  readonly to: (params: Params) => string;
  /** Beside who and why. @defaultValue nothing */
  readonly body?: (form: Form, params: Params) => object;
  /** What is said when it was done, with a link to what was begun. */
  readonly done: (form: Form, params: Params, answer: Answer) => string | Omit<Notice, 'tone'>;
}
