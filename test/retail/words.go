package retail

// A category is a shelf of the made-up chain.
type category struct {
	name, prefix, tax  string
	goods, sizes       []string
	priceMin, priceMax int64 // minor units
}

var categories = []category{
	{
		name: "Bakery", prefix: "BAK", tax: TaxReduced, priceMin: 80, priceMax: 450,
		goods: []string{"loaf", "baguette", "rolls", "scones", "flatbread", "rye bread", "muffins", "crackers"},
		sizes: []string{"200 g", "400 g", "800 g", "pack of 4", "pack of 6"},
	},
	{
		name: "Dairy", prefix: "DAI", tax: TaxReduced, priceMin: 60, priceMax: 700,
		goods: []string{"milk", "butter", "yoghurt", "cream", "cheese", "kefir", "curd", "ayran"},
		sizes: []string{"250 ml", "500 ml", "1 l", "2 l", "200 g"},
	},
	{
		name: "Fruit and vegetables", prefix: "FRU", tax: TaxReduced, priceMin: 50, priceMax: 600,
		goods: []string{"apples", "pears", "tomatoes", "carrots", "onions", "peppers", "grapes", "spinach", "mushrooms"},
		sizes: []string{"bag of 6", "net", "500 g", "1 kg", "tray"},
	},
	{
		name: "Pantry", prefix: "PAN", tax: TaxReduced, priceMin: 70, priceMax: 900,
		goods: []string{"rice", "pasta", "lentils", "flour", "tomato paste", "olive oil", "honey", "chickpeas", "tea", "coffee"},
		sizes: []string{"250 g", "500 g", "1 kg", "tin", "jar", "bottle"},
	},
	{
		name: "Drinks", prefix: "DRI", tax: TaxStandard, priceMin: 60, priceMax: 1_200,
		goods: []string{"water", "lemonade", "cola", "apple juice", "orange juice", "ginger beer", "iced tea"},
		sizes: []string{"330 ml", "500 ml", "1 l", "1.5 l", "pack of 6"},
	},
	{
		name: "Household", prefix: "HOU", tax: TaxStandard, priceMin: 90, priceMax: 2_500,
		goods: []string{"washing-up liquid", "sponges", "bin bags", "candles", "kitchen roll", "light bulb", "batteries", "clothes pegs"},
		sizes: []string{"small", "large", "pack of 2", "pack of 10", "500 ml"},
	},
	{
		name: "Stationery", prefix: "STA", tax: TaxStandard, priceMin: 40, priceMax: 1_800,
		goods: []string{"pen", "pencils", "notebook", "envelopes", "tape", "markers", "ruler", "folder"},
		sizes: []string{"single", "pack of 3", "pack of 12", "A4", "A5"},
	},
	{
		name: "Toys", prefix: "TOY", tax: TaxStandard, priceMin: 150, priceMax: 6_000,
		goods: []string{"blocks", "puzzle", "kite", "ball", "wooden train", "skipping rope", "card game"},
		sizes: []string{"for age 3 up", "for age 6 up", "for age 8 up", "for all ages"},
	},
}

var (
	adjectives = []string{"Plain", "Fine", "Golden", "Rustic", "Bright", "Old Mill", "Everyday", "Harbour", "Sunday", "Meadow", "Little", "Grand"}
	brands     = []string{"Ashmere", "Brindle & Co", "Corvale", "Dunmore", "Elmfield", "Fairbeck", "Gullwing", "Hartsea", "Inglewick", "Juniper Row"}
	streets    = []string{"High Street", "Station Road", "Market Square", "Harbour Way", "Mill Lane", "Church Row", "Park Side", "Bridge End"}
)
