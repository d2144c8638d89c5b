/**
 * GraphiQL for herald: the whole API, to read and to try. It brings all it needs along: it asks no other host for
 * anything, and runs under herald's Content-Security-Policy.
 */

import { VisuallyHidden } from '@graphiql/react';
import { GraphiQL } from 'graphiql';
import { createRoot } from 'react-dom/client';
import './monaco/threads';
import './style';
import { Editors } from './editors';
import { tour } from './examples';
import { fetcher } from './fetcher';
import { storage } from './storage';

createRoot(document.getElementById('graphiql')!).render(
  <GraphiQL
    fetcher={fetcher}
    storage={storage}
    defaultTabs={tour()}
    defaultEditorToolsVisibility="variables"
    shouldPersistHeaders={false}
    inputValueDeprecation
  >
    <GraphiQL.Logo>
      <a href="/">← herald chat</a>
    </GraphiQL.Logo>
    <VisuallyHidden asChild>
      <h1>herald · GraphiQL</h1>
    </VisuallyHidden>
    <Editors />
  </GraphiQL>,
);
