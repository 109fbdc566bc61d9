import { begun, type ChangeRoute, type Form } from './change-route.ts';

const part = encodeURIComponent;

/** Of a form whose empty fields say nothing. */
function given(name: string, value: string | undefined): Readonly<Record<string, string>> {
  return value === undefined || value === '' ? {} : { [name]: value };
}

const serviceOf = ({ service }: Form): object => given('service', service);

/** What the desk asks of runs, and of what legacy has lost. */
export const RUN_CHANGES: readonly ChangeRoute[] = [
  {
    path: '/runs/backfill',
    to: () => '/v1/runs',
    body: (form) => ({ kind: 'backfill', ...serviceOf(form), ...given('rate', form['rate']) }),
    done: (_form, _params, { run }) => begun(run, `Backfill ${String(run)} has begun.`),
  },
  {
    path: '/runs/reconcile',
    to: () => '/v1/runs',
    body: (form) => ({ kind: 'reconcile', ...serviceOf(form), ...given('scope', form['scope']) }),
    done: (_form, _params, { run }) => begun(run, `Reconciliation ${String(run)} has begun.`),
  },
  {
    path: '/runs/:run/stop',
    to: ({ run = '' }) => `/v1/runs/${part(run)}/stop`,
    done: (_form, { run = '' }) => `Run ${run} is stopped. Lanes under way are finished.`,
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
    done: (_form, _params, { run }) => begun(run, `Repair ${String(run)} has begun.`),
  },
  {
    path: '/runs/:run/undo',
    to: ({ run = '' }) => `/v1/runs/${part(run)}/undo`,
    done: (_form, _params, { undone, left }) =>
      `${undone === 1 ? '1 lane is as it was' : `${String(undone)} lanes are as they were`} before${Array.isArray(left) && left.length > 0 ? `; not so: ${left.join(', ')}` : ''}.`,
  },
  {
    path: '/lost/:service/restore',
    to: () => '/v1/lost',
    body: ({ owner, memory_id }, { service }) => ({ decision: 'restore', service, owner, memory_id }),
    done: (_form, _params, { waiting }) => `It is stored on legacy again. ${waits(waiting)}`,
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
    done: (_form, _params, { waiting }) => `It is given up. ${waits(waiting)}`,
  },
];

function waits(waiting: unknown): string {
  return waiting === 0 ? 'Its lane was made equal.' : `${String(waiting)} of its lane wait for a decision.`;
}
