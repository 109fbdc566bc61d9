import { Type } from 'typebox';
import type { Endpoint, Of } from './endpoint.ts';
import { Count, Time } from './schemas.ts';

const ListedReport = Type.Object({ date: Type.String(), made_at: Time, failed_criteria: Count });

/** A stored daily report. */
export type ListedReport = Of<typeof ListedReport>;

export const REPORTS = {
  listReports: {
    method: 'GET',
    path: '/v1/reports',
    summary: 'Lists the stored daily reports, newest first.',
    caller: 'viewer',
    answer: { json: Type.Object({ zone: Type.String(), reports: Type.Array(ListedReport) }) },
  },
  showReport: {
    method: 'GET',
    path: '/v1/reports/:report',
    summary: 'Returns a daily report by its name, such as 2026-11-20.html. Without an extension: JSON.',
    caller: 'viewer',
    params: Type.Object({ report: Type.String() }),
    answer: { document: 'application/json' },
  },
} satisfies Record<string, Endpoint>;
