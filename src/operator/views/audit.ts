import type { AuditEntry } from '../api/audit.ts';
import { aside, type Cell, column, type Table, tableOf, times, words } from './document.ts';
import { spoken } from './figures.ts';

/** Changes by people and by the guard, newest first. */
export function auditTable(entries: readonly AuditEntry[]): Table {
  return tableOf(
    entries,
    [
      times('when', ({ at }) => at),
      column('who', ({ person }) => person),
      column('what', ({ command }) => command),
      column('service', ({ service }) => service),
      words('reason', ({ reason }) => reason),
      words('details', detailsOf),
    ],
    {
      empty: 'No changes yet',
      advice:
        'Changes made on the desk, on the command line or by the guard are listed here, with their reasons.',
    },
  );
}

function detailsOf({ details }: AuditEntry): Cell {
  return Object.entries(details)
    .filter(([name]) => name !== 'services')
    .map(([name, value]) =>
      aside(`${spoken(name)}: ${typeof value === 'string' ? value : JSON.stringify(value)}`),
    );
}
