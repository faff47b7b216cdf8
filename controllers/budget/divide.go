package budget

import (
	"cmp"
	"slices"
	"sort"
)

// Demand is what one pod wants of a budget, and what it has.
type Demand struct {
	Want int32 // now
	Peak int32 // lately; not less than Want
	Held int32
}

// Divide divides a budget by water-filling (max-min fair), first by what is wanted now and then by what was wanted lately:
// nobody gets more than it wants while another wants more than it gets. What is left when all wants are met is spread evenly.
// A unit that cannot be divided stays with who has it. The sum of the shares is the budget, unless nobody is there.
func Divide(budget int32, demands []Demand) []int32 {
	shares := make([]int32, len(demands))
	if len(demands) == 0 || budget <= 0 {
		return shares
	}
	held := func(i int) int32 { return demands[i].Held }
	left := fill(shares, int64(budget), held, func(i int) int32 { return demands[i].Want })
	left = fill(shares, left, held, func(i int) int32 { return max(demands[i].Want, demands[i].Peak) })
	spread(shares, left, held)
	return shares
}

// fill raises shares, the smallest first, towards what each wants, and returns what is left.
func fill(shares []int32, left int64, held, want func(int) int32) int64 {
	var top int32
	for i := range shares {
		top = max(top, want(i))
	}
	raised := func(i int, line int32) int32 { return max(shares[i], min(want(i), line)) }
	line := waterline(left, top, func(line int32) (sum int64) {
		for i := range shares {
			sum += int64(raised(i, line) - shares[i])
		}
		return sum
	})
	for i := range shares {
		next := raised(i, line)
		left -= int64(next - shares[i])
		shares[i] = next
	}
	for _, i := range holdersFirst(len(shares), held) {
		if left > 0 && raised(i, line+1) > shares[i] {
			shares[i]++
			left--
		}
	}
	return left
}

// spread adds left evenly to shares.
func spread(shares []int32, left int64, held func(int) int32) {
	each, odd := left/int64(len(shares)), left%int64(len(shares))
	for rank, i := range holdersFirst(len(shares), func(i int) int32 { return held(i) - shares[i] }) {
		shares[i] += int32(each)
		if int64(rank) < odd {
			shares[i]++
		}
	}
}

// waterline is the highest line from 0 to top at which cost is within budget. Cost rises with the line.
func waterline(budget int64, top int32, cost func(line int32) int64) int32 {
	above := sort.Search(int(top)+1, func(line int) bool { return cost(int32(line)) > budget })
	return int32(max(above-1, 0))
}

// holdersFirst are the indexes below n, those that hold more first.
func holdersFirst(n int, held func(int) int32) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(held(b), held(a)) })
	return order
}
