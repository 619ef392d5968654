export default function Home() {
  return (
    <main>
      <h1>FlowHQ</h1>
      <p>Bookings, orders and support for your customers, on WhatsApp.</p>
    </main>
  );
}
