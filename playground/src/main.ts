/** The chat: how to write a client of herald. Begin with live.ts. */

import { createApp } from 'vue';

import App from './App.vue';
import './style.css';

createApp(App).mount('#app');
