export default function Home() {
  return (
    <main>
      <h1>FlowHQ</h1>
      <p>Your shop, on WhatsApp.</p>
    </main>
  );
}
