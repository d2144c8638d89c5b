/** What operators are given to watch herald with asks for metrics that herald has. */

import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test as base } from 'vitest';
import WebSocket from 'ws';
import { parse as parseYaml } from 'yaml';

import { freePort, Herald } from '../herald.ts';
import { documented, type Exposition, read } from './exposition.ts';
import { parse } from './promql.ts';

interface Rule {
  alert: string;
  expr: string;
  for?: string;
  labels: { severity: string };
  annotations: { summary: string; description: string };
}

interface Panel {
  id: number;
  type: string;
  title: string;
  description?: string;
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: { expr: string; legendFormat: string }[];
}

interface Dashboard {
  panels: Panel[];
  annotations: { list: { expr: string }[] };
  templating: { list: { name: string; type: string; query: string | { query: string } }[] };
}

/** The labels that Prometheus gives to everything that it scrapes. */
const OF_PROMETHEUS = ['job', 'instance'];

const file = (path: string) => readFile(join(import.meta.dirname, '../../..', path), 'utf8');
const [alerts, picture, operations, errors, configuration] = await Promise.all(
  ['deploy/alerts.yaml', 'deploy/grafana-dashboard.json', 'docs/operations.md', 'docs/errors.md', 'docs/configuration.md'].map(file),
) as [string, string, string, string, string];

const rules = (parseYaml(alerts) as { groups: { name: string; rules: Rule[] }[] }).groups.flatMap(({ rules }) => rules);
const dashboard = JSON.parse(picture) as Dashboard;
const panels = dashboard.panels.filter(({ type }) => type !== 'row');

const test = base.extend('shown', { scope: 'file' }, async ({}, { onCleanup }) => {
  const listen = `127.0.0.1:${await freePort()}`;
  const herald = await Herald.create('--metrics-listen', listen);
  onCleanup(() => herald.remove());
  // What counts by close codes has no series before the first: here it is 4400.
  const socket = new WebSocket(herald.socket, 'graphql-transport-ws');
  socket.on('open', () => socket.send('no message of the protocol'));
  await once(socket, 'close');
  return read(await (await fetch(`http://${listen}/metrics`)).text());
});

/** What is wrong with an expression: what it names is not shown by herald, or it is not PromQL. */
function faultsOf(expression: string, shown: Exposition): string[] {
  const labelsOf = (metric: string) => {
    const series = (shown.samples.get(metric) ?? []).flatMap((labels) => Object.keys(labels));
    return [...series, ...(documented(operations).get(metric) ?? []), ...OF_PROMETHEUS];
  };
  const { selectors, grouping } = parse(expression);
  const faults = [];
  for (const { metric, matchers } of selectors) {
    if (metric === 'up') continue;
    if (!shown.samples.has(metric)) faults.push(`herald has no ${metric}`);
    for (const { label, value } of matchers) {
      if (!labelsOf(metric).includes(label)) faults.push(`${metric} has no label ${label}`);
      if (OF_PROMETHEUS.includes(label)) continue;
      const isShownSoon = metric === 'herald_closes_total' && errors.includes(`\n| ${value} |`);
      const isThere = shown.samples.get(metric)?.some((labels) => labels[label] === value) ?? false;
      if (!isThere && !isShownSoon) faults.push(`${metric} has no ${label}="${value}" from the start`);
    }
  }
  const labels = selectors.flatMap(({ metric }) => labelsOf(metric));
  for (const label of grouping) if (!labels.includes(label)) faults.push(`nothing has the label ${label}`);
  return faults;
}

test('the page for operators explains the metrics that herald shows, and no others', ({ shown }) => {
  const told = documented(operations);
  const isOfTheSystem = (name: string) => name.startsWith('process_');
  expect([...told.keys()].filter((name) => !shown.families.has(name))).toEqual([]);
  expect([...shown.families].filter((name) => !told.has(name) && !isOfTheSystem(name))).toEqual([]);
  expect(told.size).toBeGreaterThan(25);
  for (const [name, labels] of told) {
    for (const series of shown.samples.get(name) ?? []) expect([name, Object.keys(series)]).toEqual([name, labels]);
  }
});

describe('the alerts', () => {
  test.for(rules)('$alert asks for what herald shows', ({ expr }, { shown }) => {
    expect(faultsOf(expr, shown)).toEqual([]);
  });

  test('have a name of their own, a time, a severity, and say what to do', () => {
    expect(rules.length).toBeGreaterThan(20);
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
    for (const rule of rules) {
      expect(Object.keys(rule).filter((key) => !['alert', 'expr', 'for', 'labels', 'annotations'].includes(key))).toEqual([]);
      expect(rule.alert).toMatch(/^Herald[A-Z]\w+$/);
      expect(rule.for ?? '0s').toMatch(/^\d+[smh]$/);
      expect(rule.labels.severity).toMatch(/^(?:page|ticket)$/);
      expect(Object.keys(rule.annotations)).toEqual(['summary', 'description']);
    }
  });

  test('speak of flags, metrics and labels that are there', ({ shown }) => {
    for (const { expr, annotations } of rules) {
      const text = `${annotations.summary} ${annotations.description}`;
      for (const [flag] of text.matchAll(/--[a-z][a-z-]+/g)) expect(configuration).toContain(`\`${flag}`);
      for (const [name] of text.matchAll(/herald_\w+/g)) expect([...shown.families]).toContain(name);
      // A sum over the nodes does not say which node it is.
      if (text.includes('$labels.instance')) expect(expr).not.toMatch(/^(?!.*group_right).*by \(/);
    }
  });
});

describe('the dashboard', () => {
  /** As Grafana writes them out before it asks Prometheus. */
  const filled = (expr: string) => expr.replaceAll('$__rate_interval', '5m').replace(/"\$(job|instance)"/g, '".+"');

  test.for(panels)('$title asks for what herald shows', ({ targets }, { shown }) => {
    expect(targets!.length).toBeGreaterThan(0);
    for (const { expr, legendFormat } of targets!) {
      expect(faultsOf(filled(expr), shown)).toEqual([]);
      const { selectors } = parse(filled(expr));
      for (const { matchers } of selectors) expect(matchers.map(({ label }) => label)).toEqual(OF_PROMETHEUS);
      const labels = selectors.flatMap(({ metric }) => documented(operations).get(metric) ?? []);
      for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) expect([...labels, 'instance']).toContain(label);
    }
  });

  test('shows every metric of herald', () => {
    const asked = panels.flatMap(({ targets }) => targets!.flatMap(({ expr }) => parse(filled(expr)).selectors));
    const families = new Set(asked.map(({ metric }) => metric.replace(/_(?:bucket|sum|count)$/, '')));
    expect([...documented(operations).keys()].filter((name) => !families.has(name))).toEqual([]);
  });

  test('asks for what herald shows in its variables and its annotations', ({ shown }) => {
    for (const { expr } of dashboard.annotations.list) expect(faultsOf(filled(expr), shown)).toEqual([]);
    for (const { type, query } of dashboard.templating.list) {
      if (type === 'datasource') continue;
      const [, selector, label] = /^label_values\((.*), (\w+)\)$/.exec((query as { query: string }).query)!;
      expect(faultsOf(filled(selector!), shown)).toEqual([]);
      expect(OF_PROMETHEUS).toContain(label);
    }
  });

  test('has panels with ids and places of their own, within 24 columns', () => {
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
    const taken = new Set<string>();
    for (const { title, gridPos: { x, y, w, h } } of dashboard.panels) {
      expect(x + w).toBeLessThanOrEqual(24);
      for (let column = x; column < x + w; column++) {
        for (let line = y; line < y + h; line++) {
          expect(taken, title).not.toContain(`${column},${line}`);
          taken.add(`${column},${line}`);
        }
      }
    }
  });
});
