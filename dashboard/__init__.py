"""What runs beside the people: hub (zmq to SQL), store, Streamlit pages, process supervisor."""
