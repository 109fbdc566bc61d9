import type { Notice } from './visit.ts';

const part = encodeURIComponent;

/** The fields of a form, without the empty ones. */
function given(name: string, value: string | undefined): Readonly<Record<string, string>> {
  return value === undefined || value === '' ? {} : { [name]: value };
}

const serviceOf = ({ service }: Form): object => given('service', service);

/** Changes that concern runs and lost items. */
export const RUN_CHANGES: readonly ChangeRoute[] = [
  {
    path: '/runs/backfill',
    to: () => '/v1/runs',
    body: (form) => ({ kind: 'backfill', ...serviceOf(form), ...given('rate', form['rate']) }),
    done: (_form, _params, { run }) => begun(run, `Backfill ${String(run)} has started.`),
  },
  {
    path: '/runs/reconcile',
    to: () => '/v1/runs',
    body: (form) => ({ kind: 'reconcile', ...serviceOf(form), ...given('scope', form['scope']) }),
    done: (_form, _params, { run }) => begun(run, `Reconciliation ${String(run)} has started.`),
  },
  {
    path: '/runs/:run/stop',
    to: ({ run = '' }) => `/v1/runs/${part(run)}/stop`,
    done: (_form, { run = '' }) => `Run ${run} is stopped. Lanes in progress are finished.`,
  },
  {
    path: '/runs/:kind/resume',
    to: () => '/v1/runs/resume',
    body: (_form, { kind }) => ({ kind }),
    done: (_form, _params, { run }) => begun(run, `Run ${String(run)} continues.`),
  },
  {
    path: '/runs/:run/repair',
    to: ({ run = '' }) => `/v1/runs/${part(run)}/repair`,
    body: ({ share, items = '' }) => ({
      limit_share: Number(share) / 100,
      ...(items !== '' && { limit_items: Number(items) }),
    }),
    done: (_form, _params, { run }) => begun(run, `Repair ${String(run)} has started.`),
  },
  {
    path: '/runs/:run/undo',
    to: ({ run = '' }) => `/v1/runs/${part(run)}/undo`,
    done: (_form, _params, { undone, left }) =>
      `${undoneWords(Number(undone))}${Array.isArray(left) && left.length > 0 ? ` Not undone: ${left.join(', ')}.` : ''}`,
  },
  {
    path: '/lost/:service/restore',
    to: () => '/v1/lost',
    body: ({ owner, memory_id }, { service }) => ({ decision: 'restore', service, owner, memory_id }),
    done: (_form, _params, { waiting }) => `The item is stored on legacy again. ${waits(waiting)}`,
  },
  {
    path: '/lost/:service/restore-lane',
    to: () => '/v1/lost',
    body: ({ owner }, { service }) => ({ decision: 'restore', service, owner }),
    done: (_form, _params, { restored, waiting }) =>
      `${restored === 1 ? '1 item is' : `${String(restored)} items are`} stored on legacy again. ${waits(waiting)}`,
  },
  {
    path: '/lost/:service/accept',
    to: () => '/v1/lost',
    body: ({ owner, memory_id }, { service }) => ({ decision: 'accept', service, owner, memory_id }),
    done: (_form, _params, { waiting }) => `The loss is accepted. ${waits(waiting)}`,
  },
];

function waits(waiting: unknown): string {
  return waiting === 0
    ? 'The lane is equal on both backends now.'
    : `${String(waiting)} more lost ${waiting === 1 ? 'item' : 'items'} of its lane wait for a decision.`;
}

function undoneWords(lanes: number): string {
  if (lanes === 0) return 'No lane was changed.';
  const [are, their] = lanes === 1 ? ['1 lane is', 'its'] : [`${lanes} lanes are`, 'their'];
  return `${are} as before the repair, and stopped. Legacy answers ${their} reads until a new reconciliation and its repair.`;
}

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
