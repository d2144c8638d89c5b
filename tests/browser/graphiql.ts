/** A window with GraphiQL. */

import type { Locator, Page } from 'playwright-core';
import { expect } from 'vitest';

export class Graphiql {
  readonly page: Page;

  private constructor(page: Page) {
    this.page = page;
  }

  static async of(page: Page): Promise<Graphiql> {
    const graphiql = new Graphiql(page);
    await graphiql.ready();
    return graphiql;
  }

  /** Waits until the page can be used: its editors come last. */
  async ready(): Promise<void> {
    await this.page.locator('.graphiql-query-editor .view-line').first().waitFor();
    await this.page.locator('.result-window .view-lines').waitFor();
  }

  get tabs(): Locator {
    return this.page.locator('.graphiql-tab-button');
  }

  /** Goes to the tab of an operation. */
  async choose(name: string): Promise<void> {
    await this.tabs.getByText(name, { exact: true }).click();
    const operation = new RegExp(`^(query|mutation|subscription) ${name}\\b`, 'm');
    await this.#hasUnderstood((query) => operation.test(query));
  }

  /** Replaces the operation of the tab. */
  async write(operation: string): Promise<void> {
    await this.#fill('.graphiql-query-editor', operation);
    await this.#hasUnderstood((query) => query === operation);
  }

  async writeVariables(variables: object): Promise<void> {
    await this.page.locator('button[data-name=variables]').click();
    await this.#fill('.graphiql-editor-tool .graphiql-editor:not(.hidden)', JSON.stringify(variables));
  }

  async writeHeaders(headers: object): Promise<void> {
    await this.page.locator('button[data-name=headers]').click();
    await this.#fill('.graphiql-editor-tool .graphiql-editor:not(.hidden)', JSON.stringify(headers));
  }

  /** Runs the operation, or stops it. */
  async run(): Promise<void> {
    await this.#runButton.click();
  }

  async isRunning(): Promise<boolean> {
    return (await this.#runButton.getAttribute('aria-label'))!.startsWith('Stop');
  }

  /** Waits for an answer of this shape. */
  async answers(shape: object): Promise<void> {
    await expect.poll(() => this.answer()).toMatchObject(shape);
  }

  /** What is shown as the answer. Of a subscription that is a list of what came, the newest first. */
  async answer(): Promise<unknown> {
    const text = await this.page.evaluate(() => {
      const { editor } = (globalThis as unknown as { __MONACO: Monaco }).__MONACO;
      return editor.getModels().find(({ uri }) => uri.path.endsWith('response.json'))?.getValue();
    });
    return text ? JSON.parse(text) : undefined;
  }

  /** A moment after an edit, the page takes in what is written: it stores that, and knows what it is to run. */
  async #hasUnderstood(isIt: (query: string) => boolean): Promise<void> {
    await expect
      .poll(async () => isIt((await this.page.evaluate(() => localStorage.getItem('graphiql:query'))) ?? ''))
      .toBe(true);
  }

  get #runButton(): Locator {
    return this.page.locator('.graphiql-execute-button');
  }

  async #fill(editor: string, text: string): Promise<void> {
    await this.page.locator(`${editor} .monaco-editor`).first().click();
    await this.page.keyboard.press('ControlOrMeta+A');
    await this.page.keyboard.press('Delete');
    await this.page.keyboard.insertText(text);
  }
}

interface Monaco {
  editor: { getModels(): { uri: { path: string }; getValue(): string }[] };
}
