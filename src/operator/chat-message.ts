/** The format of a webhook's body: our own JSON, signed, or a message for a chat. */
export const WEBHOOK_FORMATS = ['signed', 'slack', 'teams'] as const;

export type WebhookFormat = (typeof WEBHOOK_FORMATS)[number];

export type ChatFormat = Exclude<WebhookFormat, 'signed'>;

/** A message in a chat. It holds no memory content and no owner. */
export interface ChatMessage {
  readonly title: string;
  readonly lines: readonly string[];
  readonly facts: readonly (readonly [label: string, value: string])[];
  /** A page with details. */
  readonly link?: { readonly label: string; readonly url: string };
}

/** Slack refuses longer headers, sections and fields, and sections with more than ten fields. */
const SLACK_HEADER = 150;
const SLACK_SECTION = 3_000;
const SLACK_FIELD = 2_000;
const SLACK_FIELDS = 10;

/** The request's body, as JSON. */
export function chatBody(format: ChatFormat, message: ChatMessage): string {
  return JSON.stringify(format === 'slack' ? slackBody(message) : teamsBody(message));
}

/** A message of Slack's incoming webhooks: `text` is what a notification shows, `blocks` the message. */
function slackBody({ title, lines, facts, link }: ChatMessage): object {
  const sections =
    facts.length === 0 ? [] : [{ type: 'section', fields: facts.slice(0, SLACK_FIELDS).map(slackField) }];
  const text = lines.map(escaped).join('\n');
  const more = link === undefined ? [] : [mrkdwn(`<${link.url}|${escaped(link.label)}>`)];
  return {
    text: escaped(title),
    blocks: [
      { type: 'header', text: { type: 'plain_text', text: cut(title, SLACK_HEADER) } },
      ...[...(text === '' ? [] : [mrkdwn(cut(text, SLACK_SECTION))]), ...more].map((one) => ({
        type: 'section',
        text: one,
      })),
      ...sections,
    ],
  };
}

const mrkdwn = (text: string): object => ({ type: 'mrkdwn', text });

const slackField = ([label, value]: ChatMessage['facts'][number]): object =>
  mrkdwn(cut(`*${escaped(label)}*\n${escaped(value)}`, SLACK_FIELD));

/** An adaptive card, as the trigger "when a Teams webhook request is received" of Workflows takes it. */
function teamsBody({ title, lines, facts, link }: ChatMessage): object {
  const content = {
    $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
    type: 'AdaptiveCard',
    version: '1.4',
    body: [
      { type: 'TextBlock', text: title, size: 'Large', weight: 'Bolder', wrap: true },
      ...lines.map((text) => ({ type: 'TextBlock', text, wrap: true })),
      ...(facts.length === 0
        ? []
        : [{ type: 'FactSet', facts: facts.map(([label, value]) => ({ title: label, value })) }]),
    ],
    ...(link !== undefined && { actions: [{ type: 'Action.OpenUrl', title: link.label, url: link.url }] }),
  };
  const attachment = { contentType: 'application/vnd.microsoft.card.adaptive', contentUrl: null, content };
  return { type: 'message', attachments: [attachment] };
}

/** The three characters with a meaning in Slack's text. */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}
