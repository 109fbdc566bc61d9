import type { FastifyInstance, FastifyReply } from 'fastify';
import type { Clock } from '../../shared/clock.ts';
import {
  REPORT_FORMATS,
  type MadeReport,
  type ReportFactStore,
  type ReportFormat,
  type ReportStore,
} from '../../engine/report/report-ports.ts';
import { type Answered, ENDPOINTS } from '../api/endpoints.ts';
import { Refusal } from '../refusal.ts';
import { serve } from '../routes/serve.ts';
import { dateAfter, dateOf, isDate, spanOf } from './calendar-day.ts';
import { REPORT_POLICY } from './render-html.ts';

export interface ReportRouteParts {
  readonly store: Pick<ReportStore, 'list' | 'read'>;
  /** Made on request, and not stored. */
  readonly make: (date: string) => Promise<MadeReport>;
  readonly facts: Pick<ReportFactStore, 'hasRecords'>;
  readonly zone: string;
  /** Days for which the statistics per minute are stored. Reports can be made of these days. */
  readonly knownDays: number;
  readonly clock: Clock;
}

const MOST_LISTED = 1_000;

const TYPES: Readonly<Record<ReportFormat, string>> = {
  html: 'text/html; charset=utf-8',
  md: 'text/markdown; charset=utf-8',
  json: 'application/json',
};

/** A name such as `2026-11-20.html`. Without an extension the format is JSON. */
const NAMED = new RegExp(`^(?<day>[a-z]+|[\\d-]+)(?:\\.(?<format>${REPORT_FORMATS.join('|')}))?$`);

const ENDING = new RegExp(`\\.(${REPORT_FORMATS.join('|')})$`);

/** Routes of daily reports: the stored ones, and the day so far. */
export function registerReportRoutes(app: FastifyInstance, parts: ReportRouteParts): void {
  const routes = new ReportRoutes(parts);
  serve(app, ENDPOINTS.listReports, () => routes.list());
  serve(app, ENDPOINTS.showReport, ({ params }, { reply }) => routes.show(params.report, reply));
}

class ReportRoutes {
  readonly #parts: ReportRouteParts;

  constructor(parts: ReportRouteParts) {
    this.#parts = parts;
  }

  async list(): Promise<Answered<'listReports'>> {
    const { store, zone } = this.#parts;
    const reports = await store.list(MOST_LISTED);
    return {
      zone,
      reports: reports.map(({ date, madeAtMs, failedCriteria }) => ({
        date,
        made_at: new Date(madeAtMs).toISOString(),
        failed_criteria: failedCriteria,
      })),
    };
  }

  async show(name: string, reply: FastifyReply): Promise<string> {
    const { day = name.replace(ENDING, ''), format = 'json' } = NAMED.exec(name)?.groups ?? {};
    const shown = format as ReportFormat;
    const text = await this.#text(await this.#dateOf(day), shown);
    reply.type(TYPES[shown]);
    if (shown === 'html') reply.header('content-security-policy', REPORT_POLICY);
    return text;
  }

  /** A stored report stays as it was made. Otherwise it is made from the stored statistics. */
  async #text(date: string, format: ReportFormat): Promise<string> {
    const { store, facts, make, zone, clock, knownDays } = this.#parts;
    const stored = await store.read(date, format);
    if (stored !== undefined) return stored;
    const today = dateOf(clock.wallMs(), zone);
    if (date > today) throw notFound(`${date} has not begun in ${zone}`);
    if (date < dateAfter(today, -knownDays))
      throw notFound(`no report of ${date} is stored, and its statistics were removed (guard.keepDays)`);
    // A report without records would show the state of now as that of a day on which nothing ran.
    if (date < today && !(await facts.hasRecords(spanOf(date, zone))))
      throw notFound(
        `no report of ${date} is stored, and nothing was recorded on that day: no proxy ran, or it had nothing to do`,
      );
    return (await make(date)).texts[format];
  }

  async #dateOf(day: string): Promise<string> {
    const { zone, clock, store } = this.#parts;
    const today = dateOf(clock.wallMs(), zone);
    if (day === 'today') return today;
    if (day === 'yesterday') return dateAfter(today, -1);
    if (day === 'latest') {
      const [newest] = await store.list(1);
      if (newest === undefined) throw notFound('no report is stored yet: use "today" for the day so far');
      return newest.date;
    }
    if (isDate(day)) return day;
    throw new Refusal(
      400,
      'invalid_request',
      `invalid day "${day}": use YYYY-MM-DD, today, yesterday or latest`,
    );
  }
}

function notFound(message: string): Refusal {
  return new Refusal(404, 'report_not_found', message);
}
