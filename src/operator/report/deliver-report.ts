import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { REPORT_FORMATS, type ReportFormat, type ReportTarget } from '../../engine/report/report-ports.ts';
import { chatBody, type ChatMessage, type WebhookFormat } from '../chat-message.ts';
import type { Webhook } from '../webhook.ts';
import { counted } from '../views/figures.ts';
import type { Report } from './report.ts';

/** A stored report to deliver. */
export interface StoredReport {
  readonly date: string;
  readonly texts: Readonly<Record<ReportFormat, string>>;
}

/** Delivers a report to one place. Returns the failure, in words without an address. */
export type Deliver = (report: StoredReport) => Promise<string | undefined>;

/** Writes every format as a file of the folder, such as `2026-11-20.html`. A file is either complete or missing. */
function toFolder(folder: string): Deliver {
  return async ({ date, texts }) => {
    try {
      await mkdir(folder, { recursive: true });
      for (const format of REPORT_FORMATS) {
        const file = join(folder, `${date}.${format}`);
        await written(file, texts[format]);
      }
      return undefined;
    } catch (error) {
      const { code = 'an error' } = error as NodeJS.ErrnoException;
      return `its files could not be written (${code})`;
    }
  };
}

/** Removes a file that could not be renamed, because the disk may be full of such files. */
async function written(file: string, text: string): Promise<void> {
  const unfinished = `${file}.new`;
  // Opening a link would follow it, and opening a pipe would block forever.
  await rm(unfinished, { force: true });
  try {
    await writeFile(unfinished, text, { flag: 'wx' });
    await rename(unfinished, file);
  } catch (error) {
    await rm(unfinished, { force: true }).catch(() => undefined);
    throw error;
  }
}

/** What is posted: a short message and the whole report. A receiver can drop a `delivery` that it already has. */
function toWebhook({ webhook, format, reportsUrl }: ReportWebhook): Deliver {
  return ({ date, texts }) => {
    const report = JSON.parse(texts.json) as Report;
    if (format !== 'signed') return webhook.post(chatBody(format, messageOf(report, reportsUrl)));
    const services = report.services.map(({ service, phase, next_step: next }) => ({
      service,
      phase,
      next_step: next,
    }));
    return webhook.post(
      JSON.stringify({
        kind: 'report',
        // Different after another proxy has added its services.
        delivery: `report ${date} made ${report.made_at}`,
        date,
        failed_criteria: report.failed_criteria,
        services,
        markdown: texts.md,
        report,
      }),
    );
  };
}

/** A report as a chat message: the verdict, and for each service its stage and next step. */
function messageOf(report: Report, reportsUrl: string | undefined): ChatMessage {
  const { date, failed_criteria: failed, failed_to_stay: toStay, services } = report;
  const verdict =
    toStay > 0
      ? `${counted(toStay, 'criterion of the present stages fails', 'criteria of the present stages fail')}.`
      : failed > 0
        ? `Nothing is wrong. ${counted(failed, 'criterion is', 'criteria are')} missing for the next stage.`
        : 'Every criterion of the present stages passes.';
  return {
    title: `Crossfade report of ${date}`,
    lines: [verdict, ...services.map(({ service, next_step: { text } }) => `${service}: ${text}`)],
    facts: services.map(({ service, phase }) => [service, `stage ${phase.replaceAll('_', ' ')}`] as const),
    ...(reportsUrl !== undefined && {
      link: { label: 'Open the report', url: `${reportsUrl}/reports/${date}.html` },
    }),
  };
}

export interface ReportWebhook {
  readonly webhook: Webhook;
  readonly format: WebhookFormat;
  /** Address where reports are read in a browser. Absent: messages have no link. */
  readonly reportsUrl: string | undefined;
}

/** The places where reports are delivered. */
export function createDeliveries(places: {
  readonly folder: string | undefined;
  readonly webhook: ReportWebhook | undefined;
}): ReadonlyMap<ReportTarget, Deliver> {
  const deliveries = new Map<ReportTarget, Deliver>();
  if (places.folder !== undefined) deliveries.set('folder', toFolder(places.folder));
  if (places.webhook !== undefined) deliveries.set('webhook', toWebhook(places.webhook));
  return deliveries;
}
