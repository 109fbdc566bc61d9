import type { AnswerOf, CallOf, Endpoint } from '../api/endpoint.ts';
import { ENDPOINTS } from '../api/endpoints.ts';
import type { OperatorApi } from './operator-api.ts';
import { decidedItemsWords } from '../views/lost.ts';
import { undoneWords } from '../views/repairs.ts';
import type { Notice } from './visit.ts';

/** The fields of a form, without the empty ones. */
function given<const Name extends string>(
  name: Name,
  value: string | undefined,
): { readonly [Given in Name]?: string } {
  return value === undefined || value === ''
    ? {}
    : ({ [name]: value } as { readonly [Given in Name]: string });
}

const serviceOf = ({ service }: Form) => given('service', service);

/** Changes that concern runs and lost items. */
export const RUN_CHANGES: readonly ChangeRoute[] = [
  change({
    path: '/runs/backfill',
    to: ENDPOINTS.beginRun,
    body: (form) => ({ kind: 'backfill', ...serviceOf(form), ...given('rate', form['rate']) }),
    done: (_form, _params, { run }) => begun(run, `Backfill ${String(run)} has started.`),
  }),
  change({
    path: '/runs/reconcile',
    to: ENDPOINTS.beginRun,
    body: (form) => ({ kind: 'reconcile', ...serviceOf(form), ...given('scope', form['scope']) }),
    done: (_form, _params, { run }) => begun(run, `Reconciliation ${String(run)} has started.`),
  }),
  change({
    path: '/runs/:run/stop',
    to: ENDPOINTS.stopRun,
    done: (_form, { run = '' }) => `Run ${run} is stopped. Lanes in progress are finished.`,
  }),
  change({
    path: '/runs/:kind/resume',
    to: ENDPOINTS.resumeRun,
    body: (_form, { kind }) => ({ kind }),
    done: (_form, _params, { run }) => begun(run, `Run ${String(run)} continues.`),
  }),
  change({
    path: '/runs/:run/repair',
    to: ENDPOINTS.applyRepair,
    body: ({ share, items = '' }) => ({
      limit_share: Number(share) / 100,
      ...(items !== '' && { limit_items: Number(items) }),
    }),
    done: (_form, _params, { run }) => begun(run, `Repair ${String(run)} has started.`),
  }),
  change({
    path: '/runs/:run/undo',
    to: ENDPOINTS.undoRepair,
    done: (_form, _params, { undone, left }) =>
      `${undoneWords(undone)}${left.length > 0 ? ` Not undone: ${left.join(', ')}.` : ''}`,
  }),
  change({
    path: '/lost/:service/restore',
    to: ENDPOINTS.decideLost,
    body: ({ owner, memory_id }, { service }) => ({ decision: 'restore', service, owner, memory_id }),
    done: (_form, _params, answer) => decidedItemsWords({ decision: 'restore', ...answer }),
  }),
  change({
    path: '/lost/:service/restore-lane',
    to: ENDPOINTS.decideLost,
    body: ({ owner }, { service }) => ({ decision: 'restore', service, owner }),
    done: (_form, _params, answer) => decidedItemsWords({ decision: 'restore', ...answer }),
  }),
  change({
    path: '/lost/:service/accept',
    to: ENDPOINTS.decideLost,
    body: ({ owner, memory_id }, { service }) => ({ decision: 'accept', service, owner, memory_id }),
    done: (_form, _params, answer) => decidedItemsWords({ decision: 'accept', ...answer }),
  }),
];

/** The fields of a submitted form. */
export type Form = Readonly<Record<string, string | undefined>>;

export type Params = Readonly<Record<string, string>>;

/** Links to the run that was started. */
export function begun(run: number, text: string): Omit<Notice, 'tone'> {
  return { text, link: { to: `/runs/${String(run)}`, label: `Open run ${String(run)}` } };
}

/** What the visitor sent. */
interface Sent {
  readonly form: Form;
  /** Of the form's address. The API takes those of the same name. */
  readonly params: Params;
  readonly by: { readonly person: string; readonly reason: string };
}

/** A form of the desk that makes a change. */
export interface ChangeRoute {
  readonly path: string;
  /** Makes the change. Resolves with the notice after success, with a link to what was started. @throws ApiRefusal */
  readonly make: (api: OperatorApi, sent: Sent) => Promise<string | Omit<Notice, 'tone'>>;
}

/** Members of a body as a form has them. The API checks the values. */
type Members<E extends Endpoint> = { readonly [Name in keyof NonNullable<CallOf<E>['body']>]?: unknown };

interface Change<E extends Endpoint> {
  readonly path: string;
  readonly to: E;
  /** Members besides the person and the reason. @defaultValue none */
  readonly body?: (form: Form, params: Params) => Members<E>;
  readonly done: (form: Form, params: Params, answer: AnswerOf<E>) => string | Omit<Notice, 'tone'>;
}

/** A form, and the endpoint that it calls. */
export function change<E extends Endpoint>({ path, to, body, done }: Change<E>): ChangeRoute {
  return {
    path,
    async make(api, { form, params, by }) {
      const call = { params, body: { ...body?.(form, params), ...by } } as unknown as CallOf<E>;
      return done(form, params, await api.ask(to, call));
    },
  };
}
