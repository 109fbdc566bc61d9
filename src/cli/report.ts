import type { Criterion } from '../operator/api/history.ts';
import { Command, Option } from 'commander';
import { messageOf } from '../domain/errors.ts';
import { REPORT_FORMATS, type ReportFormat } from '../engine/report/report-ports.ts';
import { CRITERION_WORDS } from '../operator/report/criterion-words.ts';
import { failedIn } from '../operator/report/criteria.ts';
import { printedFigure, counted } from '../operator/views/figures.ts';
import type { Report } from '../operator/report/report.ts';
import { writeAskedFile } from './asked-file.ts';
import {
  callProxy,
  parsed,
  tokenOption,
  urlOption,
  type Environment,
  type ProxyAddress,
} from './operator-client.ts';
import { reportsTable } from '../operator/views/reports.ts';
import { tableText } from '../operator/views/terminal.ts';

interface ReportOptions extends ProxyAddress {
  readonly date: string;
  readonly format?: ReportFormat;
  readonly json?: true;
  readonly out?: string;
  readonly check?: true;
}

const FAILED = 1;
const NOT_CHECKED = 2;

/** `crossfade report`: the report of a day, and whether the criteria of the current stages pass. */
export function createReportCommand(env: Environment): Command {
  return new Command('report')
    .description('Show the daily report: numbers, criteria of every stage, and the next steps')
    .option(
      '--date <day>',
      'YYYY-MM-DD, today (so far), yesterday, or latest (newest stored report)',
      'today',
    )
    .addOption(
      new Option('--format <format>', 'output format (default: md; none with --check)').choices(
        REPORT_FORMATS,
      ),
    )
    .option('--json', 'the same as --format json')
    .option('--out <file>', 'write the report to this file')
    .option(
      '--check',
      'print which criteria of the current stages fail; with --format, also print the report',
    )
    .addOption(urlOption(env))
    .addOption(tokenOption(env))
    .addHelpText(
      'after',
      `
The report of today, and of a day without a stored report, is computed now and not stored. It needs a record of that day: counted
requests, a change, or a run. A stored report never changes. --date latest is normally the report that was made this morning about
yesterday.
Exit codes: 0 success. 1 error (reason on stderr).
Exit codes with --check: 0 every criterion of the current stage of every service passes. 1 a criterion fails. 2 could not be evaluated.`,
    )
    .action((options: ReportOptions) => (options.check === true ? check(options) : show(options)))
    .addCommand(createListCommand(env));
}

async function show(options: ReportOptions): Promise<void> {
  print(options, await fetched(options, formatOf(options) ?? 'md'));
}

async function check(options: ReportOptions): Promise<void> {
  try {
    const format = formatOf(options);
    const text = await fetched(options, 'json');
    const report = JSON.parse(text) as Report;
    if (format !== undefined) print(options, format === 'json' ? text : await fetched(options, format));
    else console.log(report.services.map(told).join('\n\n'));
    process.exitCode = report.failed_criteria > 0 ? FAILED : 0;
  } catch (error) {
    console.error(`crossfade: ${messageOf(error)}`);
    process.exitCode = NOT_CHECKED;
  }
}

const formatOf = ({ format, json }: ReportOptions): ReportFormat | undefined =>
  json === true ? 'json' : format;

function fetched({ date, url, token }: ReportOptions, format: ReportFormat): Promise<string> {
  const at = { url, ...(token !== undefined && { token }) };
  return callProxy(at, 'showReport', { params: { report: `${date}.${format}` } });
}

function print({ out }: ReportOptions, text: string): void {
  if (out === undefined) return console.log(text.trimEnd());
  writeAskedFile({ option: '--out', path: out }, text);
  console.log(`report written to ${out}`);
}

function told({ service, phase, plan, next_step: next }: Report['services'][number]): string {
  const failed = failedIn(plan);
  const verdict =
    failed.length === 0
      ? 'every criterion passes'
      : counted(failed.length, 'criterion fails', 'criteria fail');
  return [
    `${service}  stage ${phase}: ${verdict}`,
    ...failed.map(failedLine),
    `  next: ${next.text}${next.command === null ? '' : `\n        ${next.command}`}`,
  ].join('\n');
}

function failedLine({ name, action, have, limit, note }: Criterion): string {
  const { title, unit, sign } = CRITERION_WORDS[name];
  const [is, needed] = [have, limit].map((value) => printedFigure({ value: value ?? null, unit }));
  return `  ✗ ${title}${action === null ? '' : ` of ${action}`}: ${is}, needed ${unit === 'yes_no' ? '' : `${sign} `}${needed}${note === null ? '' : ` (${note})`}`;
}

interface Listed extends ProxyAddress {
  readonly json?: true;
}

function createListCommand(env: Environment): Command {
  return new Command('list')
    .description('List stored reports, newest first')
    .addHelpText('after', '\nExit codes: 0 success, 1 error (reason on stderr).')
    .option('--json', 'print JSON')
    .addOption(urlOption(env))
    .addOption(tokenOption(env))
    .action(async (_options: Listed, command: Command) => {
      // The parent command has consumed the options that it knows too.
      const { json, url, token } = command.optsWithGlobals<Listed>();
      const text = await callProxy({ url, ...(token !== undefined && { token }) }, 'listReports', {});
      if (json === true) return console.log(text);
      console.log(tableText(reportsTable(parsed(text).reports)));
    });
}
